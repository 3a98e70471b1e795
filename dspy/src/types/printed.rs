//! What Python prints of dates, times, durations, exact numbers, ids and bytes: `str` and `repr`.

use serde_json::Value;
use speedate::{Date, DateTime, Duration, Time};

use super::{Definitions, Scalar, Type};
use crate::python::{object::Object, repr};

/// The seconds and microseconds of a day.
const DAY_SECONDS: i64 = 86_400;
const SECOND_MICROS: i64 = 1_000_000;

impl Scalar {
    /// `str` of the object that a value stands for, if it stands for one.
    pub(crate) fn str(self, value: &Value) -> Option<String> {
        let text = self.normal(value)?;
        match self {
            Self::DateTime => Some(text.parse::<DateTime>().ok()?.printed()),
            Self::Time => Some(text.parse::<Time>().ok()?.printed()),
            Self::TimeDelta => Some(Delta::of(&text)?.printed()),
            Self::Date | Self::Decimal | Self::Uuid => Some(text),
            Self::Bytes => self.repr(value),
        }
    }

    /// `repr` of the object that a value stands for, if it stands for one.
    pub(crate) fn repr(self, value: &Value) -> Option<String> {
        let text = self.normal(value)?;
        Some(match self {
            Self::DateTime => {
                let DateTime { date: Date { year, month, day }, time } = text.parse().ok()?;
                format!("datetime.datetime({year}, {month}, {day}, {})", arguments(&time))
            }
            Self::Date => {
                let Date { year, month, day } = text.parse().ok()?;
                format!("datetime.date({year}, {month}, {day})")
            }
            Self::Time => format!("datetime.time({})", arguments(&text.parse().ok()?)),
            Self::TimeDelta => Delta::of(&text)?.code(),
            Self::Decimal => repr::repr(&Object::Decimal(text)),
            Self::Uuid => format!("UUID('{text}')"),
            Self::Bytes => repr::repr(&Object::Bytes(text.into_bytes())),
        })
    }

    /// The value as JSON writes it.
    fn normal(self, value: &Value) -> Option<String> {
        let shown = Type::Scalar(self).input(value, &Definitions::default())?;
        shown.as_str().map(ToOwned::to_owned)
    }
}

trait Printed {
    /// `str` of it.
    fn printed(&self) -> String;
}

impl Printed for Time {
    fn printed(&self) -> String {
        let Self { hour, minute, second, microsecond, tz_offset } = self;
        let micros = fraction((*microsecond).into());
        let zone = tz_offset.map(|offset| {
            let (sign, offset) = (if offset < 0 { '-' } else { '+' }, offset.unsigned_abs());
            format!("{sign}{:02}:{:02}", offset / 3600, offset / 60 % 60)
        });
        let zone = zone.unwrap_or_default();
        format!("{hour:02}:{minute:02}:{second:02}{micros}{zone}")
    }
}

impl Printed for DateTime {
    fn printed(&self) -> String {
        format!("{} {}", self.date, self.time.printed())
    }
}

/// A time of a day as the arguments of its class.
fn arguments(time: &Time) -> String {
    let Time { hour, minute, second, microsecond, tz_offset } = time;
    let (is_second, is_micro) = (*second > 0 || *microsecond > 0, *microsecond > 0);
    let parts = [
        Some(hour.to_string()),
        Some(minute.to_string()),
        is_second.then(|| second.to_string()),
        is_micro.then(|| microsecond.to_string()),
        tz_offset.map(|offset| format!("tzinfo=TzInfo({offset})")),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn fraction(micros: i64) -> String {
    if micros == 0 { String::new() } else { format!(".{micros:06}") }
}

/// A duration as Python holds it: only the days may be negative.
struct Delta {
    days: i64,
    seconds: i64,
    micros: i64,
}

impl Delta {
    fn of(text: &str) -> Option<Self> {
        let Duration { positive, day, second, microsecond } = text.parse().ok()?;
        let seconds = i64::from(day) * DAY_SECONDS + i64::from(second);
        let total = seconds * SECOND_MICROS + i64::from(microsecond);
        let total = if positive { total } else { -total };
        let (seconds, micros) = (total.div_euclid(SECOND_MICROS), total.rem_euclid(SECOND_MICROS));
        let (days, seconds) = (seconds.div_euclid(DAY_SECONDS), seconds.rem_euclid(DAY_SECONDS));
        Some(Self { days, seconds, micros })
    }

    fn code(&self) -> String {
        let parts = [("days", self.days), ("seconds", self.seconds), ("microseconds", self.micros)];
        let parts = parts.iter().filter(|(_, it)| *it != 0);
        let parts: Vec<_> = parts.map(|(name, it)| format!("{name}={it}")).collect();
        let arguments = if parts.is_empty() { "0".to_owned() } else { parts.join(", ") };
        format!("datetime.timedelta({arguments})")
    }
}

impl Printed for Delta {
    fn printed(&self) -> String {
        let Self { days, seconds, micros } = self;
        let plural = if days.abs() == 1 { "" } else { "s" };
        let days = if *days == 0 { String::new() } else { format!("{days} day{plural}, ") };
        let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
        format!("{days}{hours}:{minutes:02}:{:02}{}", seconds % 60, fraction(*micros))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_printed_as_python_prints_them() {
        let cases = [
            (
                Scalar::DateTime,
                "2024-01-02T03:04:05.120000+02:00",
                "2024-01-02 03:04:05.120000+02:00",
                "datetime.datetime(2024, 1, 2, 3, 4, 5, 120000, tzinfo=TzInfo(7200))",
            ),
            (
                Scalar::DateTime,
                "2024-01-02 03:04",
                "2024-01-02 03:04:00",
                "datetime.datetime(2024, 1, 2, 3, 4)",
            ),
            (Scalar::Date, "2024-01-02", "2024-01-02", "datetime.date(2024, 1, 2)"),
            (
                Scalar::Time,
                "03:04:05-02:30",
                "03:04:05-02:30",
                "datetime.time(3, 4, 5, tzinfo=TzInfo(-9000))",
            ),
            (
                Scalar::TimeDelta,
                "P1DT2H3M4.5S",
                "1 day, 2:03:04.500000",
                "datetime.timedelta(days=1, seconds=7384, microseconds=500000)",
            ),
            (
                Scalar::TimeDelta,
                "-PT5S",
                "-1 day, 23:59:55",
                "datetime.timedelta(days=-1, seconds=86395)",
            ),
            (Scalar::TimeDelta, "PT0S", "0:00:00", "datetime.timedelta(0)"),
            (Scalar::Decimal, "1.50", "1.50", "Decimal('1.50')"),
            (
                Scalar::Uuid,
                "12345678123456781234567812345678",
                "12345678-1234-5678-1234-567812345678",
                "UUID('12345678-1234-5678-1234-567812345678')",
            ),
            (Scalar::Bytes, "é", "b'\\xc3\\xa9'", "b'\\xc3\\xa9'"),
        ];

        for (scalar, value, str, repr) in cases {
            let value = Value::from(value);

            assert_eq!(scalar.str(&value).as_deref(), Some(str));
            assert_eq!(scalar.repr(&value).as_deref(), Some(repr));
        }
    }
}
