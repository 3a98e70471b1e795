//! How Python programs are run.

use std::time::Duration;

use super::Places;

/// How Python programs are run. Every process of a fleet may have its own.
#[derive(Clone, Debug, PartialEq)]
pub struct PythonConfig {
    /// Where interpreters are looked for.
    pub places: Places,
    /// The whole environment of a program: names and values (`PYTHON_ENV` names more).
    pub environment: Vec<(String, String)>,
    /// The model of programs that name none (`LM_MODEL`).
    pub default_model: Option<String>,
    /// The most processes of one program (`PYTHON_PROCESSES`).
    pub processes: usize,
    /// The most memory for data of one process (`PYTHON_MEMORY_MAX`).
    pub memory_bytes_max: u64,
    /// The most CPU time of one process (`PYTHON_CPU_MAX`); none for no limit.
    pub cpu_max: Option<Duration>,
    /// How many executions a process runs before another takes its place
    /// (`PYTHON_EXECUTIONS_MAX`).
    pub executions_max: u64,
    /// How old a process may be before another takes its place (`PYTHON_AGE_MAX`).
    pub age_max: Duration,
    /// How long a process may have nothing to do before it ends.
    pub idle_max: Duration,
    /// How long a process may answer nothing before it is given no more executions, and killed if
    /// it has none.
    pub silence_max: Duration,
    /// How long a program may take to load (`PYTHON_START_TIMEOUT`).
    pub start_timeout: Duration,
    /// How long an execution may take to stop before its process is killed (`PYTHON_GRACE`).
    pub grace: Duration,
    /// The first delay before a program that could not be started is started again.
    pub retry_base: Duration,
}

/// The share of the memory limit at which another process takes a process's place.
pub(super) const MEMORY_SHARE: f64 = 0.8;

/// After so many failed starts a program counts as unhealthy.
pub(super) const FAILURES_MAX: u32 = 5;

/// The longest delay between starts that fail.
const BACKOFF_MAX: Duration = Duration::from_secs(30);

impl Default for PythonConfig {
    fn default() -> Self {
        Self {
            places: Places::default(),
            environment: Vec::new(),
            default_model: None,
            processes: 2,
            memory_bytes_max: 1 << 30,
            cpu_max: None,
            executions_max: 10_000,
            age_max: Duration::from_secs(24 * 3600),
            idle_max: Duration::from_secs(900),
            silence_max: Duration::from_secs(10),
            start_timeout: Duration::from_secs(60),
            grace: Duration::from_secs(2),
            retry_base: Duration::from_millis(200),
        }
    }
}

impl PythonConfig {
    /// How long to wait after so many failed starts.
    pub(super) fn backoff(&self, failures: u32) -> Duration {
        let factor = 1u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
        self.retry_base.saturating_mul(factor).min(BACKOFF_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_that_fail_are_put_off_longer_and_longer() {
        let config = PythonConfig::default();
        let delays: Vec<u128> = [1, 2, 3, 8, 9, 40].map(|it| config.backoff(it).as_millis()).into();
        assert_eq!(delays, [200, 400, 800, 25_600, 30_000, 30_000]);
    }
}
