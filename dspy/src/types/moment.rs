//! Dates, times and durations, read as pydantic reads them: by pydantic's own parser.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a value of any other of Python's types goes one and the same way"
)]

use speedate::{
    Date, DateTime, DateTimeConfig, Duration, MicrosecondsPrecisionOverflowBehavior, ParseError,
    Time, TimeConfig, TimestampUnit,
};
use strum::EnumMessage;

use super::{
    coerce::{Coerced, refuse},
    fit::Fit,
};
use crate::python::object::{Int, Object};

/// A value that could be read as seconds, or the text of a moment.
enum Given<'a> {
    Text(&'a [u8]),
    Whole(i64),
    Seconds(f64),
    Other,
}

const SECONDS_A_DAY: u64 = 86_400;

fn given(value: &Object) -> Given<'_> {
    match value {
        Object::Str(text) => Given::Text(text.as_bytes()),
        Object::Bytes(bytes) => Given::Text(bytes),
        Object::Int(Int::Small(whole)) => Given::Whole(*whole),
        Object::Int(big @ Int::Big(_)) => Given::Seconds(big.to_f64()),
        Object::Float(seconds) => Given::Seconds(*seconds),
        _ => Given::Other,
    }
}

fn time_config() -> TimeConfig {
    TimeConfig {
        microseconds_precision_overflow_behavior: MicrosecondsPrecisionOverflowBehavior::Truncate,
        unix_timestamp_offset: Some(0),
    }
}

fn datetime_config() -> DateTimeConfig {
    DateTimeConfig { timestamp_unit: TimestampUnit::Infer, time_config: time_config() }
}

/// Why no moment was read.
enum Fault {
    /// The value is of no type that could be one.
    Type,
    /// It could be one, but is not.
    Parse(&'static str),
}

type Read<T> = Result<T, Fault>;

/// Python's calendar begins with the year 1.
const YEAR_0: &str = "year 0 is out of range";

const NAN: Fault = Fault::Parse("NaN values not permitted");

fn read<T>(result: Result<T, ParseError>) -> Read<T> {
    result.map_err(|it| Fault::Parse(it.get_documentation().unwrap_or_default()))
}

fn read_datetime(value: &Object) -> Read<DateTime> {
    match given(value) {
        Given::Text(text) => read(DateTime::parse_bytes_with_config(text, &datetime_config())),
        Given::Whole(it) => read(DateTime::from_timestamp_with_config(it, 0, &datetime_config())),
        Given::Seconds(it) if it.is_nan() => Err(NAN),
        Given::Seconds(it) => read(DateTime::from_float_with_config(it, &datetime_config())),
        Given::Other => Err(Fault::Type),
    }
}

fn read_date(value: &Object) -> Read<Date> {
    match given(value) {
        Given::Text(text) => read(Date::parse_bytes(text)),
        Given::Whole(_) | Given::Seconds(_) | Given::Other => Err(Fault::Type),
    }
}

fn done(shown: &impl ToString) -> (Object, Fit) {
    (Object::Str(shown.to_string()), Fit::LAX)
}

/// `datetime`; a date is its midnight.
pub(super) fn datetime(value: &Object) -> Coerced {
    let fault = match read_datetime(value) {
        Ok(datetime) if datetime.date.year == 0 => Fault::Parse(YEAR_0),
        Ok(datetime) => return Ok(done(&datetime)),
        Err(fault) => fault,
    };
    match (read_date(value), fault) {
        (Ok(date), _) if date.year > 0 => Ok(done(&format!("{date}T00:00:00"))),
        (Ok(_), _) => {
            let message = format!("Input should be a valid datetime, {YEAR_0}");
            refuse("datetime_parsing", &message, value)
        }
        (Err(Fault::Parse(why)), _) => {
            let message = format!("Input should be a valid datetime or date, {why}");
            refuse("datetime_from_date_parsing", &message, value)
        }
        (Err(Fault::Type), Fault::Parse(why)) => {
            let message = format!("Input should be a valid datetime, {why}");
            refuse("datetime_parsing", &message, value)
        }
        (Err(Fault::Type), Fault::Type) => {
            refuse("datetime_type", "Input should be a valid datetime", value)
        }
    }
}

/// `date`; a moment is one if it is midnight.
pub(super) fn date(value: &Object) -> Coerced {
    let no_year = || {
        let message = format!("Input should be a valid date in the format YYYY-MM-DD, {YEAR_0}");
        refuse("date_parsing", &message, value)
    };
    if let Ok(date) = read_date(value) {
        return if date.year == 0 { no_year() } else { Ok(done(&date)) };
    }
    match read_datetime(value) {
        Ok(datetime) if datetime.date.year == 0 => no_year(),
        Ok(DateTime { date, time }) if time.total_seconds() == 0 && time.microsecond == 0 => {
            Ok(done(&date))
        }
        Ok(_) => {
            let message = "Datetimes provided to dates should have zero time - e.g. be exact dates";
            refuse("date_from_datetime_inexact", message, value)
        }
        Err(Fault::Parse(why)) => {
            let message = format!("Input should be a valid date or datetime, {why}");
            refuse("date_from_datetime_parsing", &message, value)
        }
        Err(Fault::Type) => refuse("date_type", "Input should be a valid date", value),
    }
}

/// `time`; a number is the seconds since midnight.
pub(super) fn time(value: &Object) -> Coerced {
    let read = match given(value) {
        Given::Text(text) => read(Time::parse_bytes_with_config(text, &time_config())),
        Given::Whole(whole) => time_of(whole, 0),
        Given::Seconds(it) if it.is_nan() => Err(NAN),
        Given::Seconds(it) => time_of(whole(it), micros(it.fract().abs())),
        Given::Other => Err(Fault::Type),
    };
    match read {
        Ok(time) => Ok(done(&time)),
        Err(Fault::Parse(why)) => {
            let message = format!("Input should be in a valid time format, {why}");
            refuse("time_parsing", &message, value)
        }
        Err(Fault::Type) => refuse("time_type", "Input should be a valid time", value),
    }
}

fn time_of(seconds: i64, microsecond: u32) -> Read<Time> {
    if seconds < 0 {
        return Err(Fault::Parse("time in seconds should be positive"));
    }
    let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
    read(Time::from_timestamp_with_config(seconds, microsecond, &time_config()))
}

#[expect(clippy::cast_possible_truncation, reason = "casts saturate, and so do pydantic's")]
fn whole(seconds: f64) -> i64 {
    seconds.floor() as i64
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is below 1e6")]
fn micros(fraction: f64) -> u32 {
    (fraction * 1e6).round() as u32
}

/// `timedelta`; a number is seconds.
pub(super) fn timedelta(value: &Object) -> Coerced {
    let read = match (given(value), value) {
        (Given::Text(text), _) => read(Duration::parse_bytes_with_config(text, &time_config())),
        (Given::Whole(whole), _) => duration_of(whole >= 0, whole.unsigned_abs(), 0),
        (Given::Other, Object::Bool(flag)) => duration_of(true, u64::from(*flag), 0),
        (Given::Seconds(it), _) if it.is_nan() => Err(NAN),
        (Given::Seconds(it), _) => duration_of_float(it),
        (Given::Other, _) => Err(Fault::Type),
    };
    match read {
        Ok(duration) => Ok(done(&duration)),
        Err(Fault::Parse(why)) => {
            let message = format!("Input should be a valid timedelta, {why}");
            refuse("time_delta_parsing", &message, value)
        }
        Err(Fault::Type) => refuse("time_delta_type", "Input should be a valid timedelta", value),
    }
}

fn duration_of(is_positive: bool, seconds: u64, microsecond: u32) -> Read<Duration> {
    let days = u32::try_from(seconds / SECONDS_A_DAY).unwrap_or(u32::MAX);
    let rest = u32::try_from(seconds % SECONDS_A_DAY).unwrap_or(0);
    read(Duration::new(is_positive, days, rest, microsecond))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "casts saturate")]
fn duration_of_float(seconds: f64) -> Read<Duration> {
    let total = seconds.abs();
    let microsecond = micros(total.fract());
    let days = (total / SECONDS_A_DAY as f64) as u32;
    let rest = (total as u64 % SECONDS_A_DAY) as u32;
    read(Duration::new(seconds >= 0.0, days, rest, microsecond))
}
