//! The configuration, and the only place that reads the environment. Flags win over the
//! environment, the environment over the file, the file over the defaults.

mod objects;
mod python;
mod secret;
mod sources;
mod traces;

use std::{
    collections::BTreeMap,
    env, fmt, fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use clap::ArgMatches;

pub(crate) use self::{
    objects::objects,
    python::{places, python, python_path},
    secret::Secret,
    sources::{GivenKeys, keys, sources},
    traces::{Traces, traces},
};

use crate::{
    settings::{self, Setting},
    telemetry,
};

/// Everything that can be set: what the parts take, and what the front door itself needs.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) api_host: IpAddr,
    pub(crate) api_port: u16,
    /// Where a worker alone shows its numbers; none for nowhere.
    pub(crate) worker_metrics_address: Option<SocketAddr>,
    pub(crate) secret_key: Option<api::SecretKey>,
    pub(crate) api: api::Config,
    pub(crate) redis_url: Option<Secret>,
    pub(crate) database_path: PathBuf,
    pub(crate) queue_name: String,
    /// A URL or a folder.
    pub(crate) object_store: Option<String>,
    pub(crate) allow_eviction: bool,
    pub(crate) limits: queue::Limits,
    pub(crate) worker: workers::Config,
    pub(crate) programs_dir: PathBuf,
    pub(crate) gateway: workers::GatewayConfig,
    pub(crate) python_allow: programs::PythonAllow,
    pub(crate) python: workers::PythonConfig,
    /// The names of further variables that Python programs may see.
    pub(crate) python_env: Vec<String>,
    pub(crate) sources: workers::SourcesConfig,
    /// Where the buckets of MLflow's artifacts are.
    pub(crate) mlflow_s3: Option<String>,
    /// What hosts of sources are shown, by the names of the variables.
    pub(crate) source_keys: Vec<(&'static str, Secret)>,
    pub(crate) lm_api_key: Option<Secret>,
    /// Keys that come while the process runs.
    pub(crate) given_keys: GivenKeys,
    pub(crate) log: telemetry::Config,
    pub(crate) server: Server,
    pub(crate) webhooks: workers::WebhookConfig,
    pub(crate) tracking: workers::TrackingConfig,
}

/// Whom the commands talk to.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Server {
    /// Empty until it is known on which port a server of this machine would be.
    pub(crate) url: String,
    /// Whether the configuration names it.
    pub(crate) named: bool,
    pub(crate) token: Option<Secret>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            api_host: IpAddr::V4(Ipv4Addr::LOCALHOST),
            api_port: 8001,
            worker_metrics_address: None,
            secret_key: None,
            api: api::Config::default(),
            redis_url: None,
            database_path: "dspyx.db".into(),
            queue_name: "dspyx".to_owned(),
            object_store: None,
            allow_eviction: false,
            limits: queue::Limits::default(),
            worker: workers::Config::default(),
            programs_dir: "programs".into(),
            gateway: workers::GatewayConfig::default(),
            python_allow: programs::PythonAllow::default(),
            python: workers::PythonConfig::default(),
            python_env: Vec::new(),
            sources: workers::SourcesConfig::default(),
            mlflow_s3: None,
            source_keys: Vec::new(),
            lm_api_key: None,
            given_keys: GivenKeys::default(),
            log: telemetry::Config::default(),
            server: Server::default(),
            webhooks: workers::WebhookConfig::default(),
            tracking: workers::TrackingConfig::default(),
        }
    }
}

/// The command line, the configuration or an input is wrong: exit code 2.
#[derive(Debug)]
pub(crate) struct Usage(pub(crate) String);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// Where a value came from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Origin {
    /// A flag.
    Flag,
    /// The environment.
    Environment,
    /// The configuration file.
    File,
    /// Nobody set it.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Origin::Flag => "flag",
            Origin::Environment => "environment",
            Origin::File => "file",
            Origin::Default => "default",
        })
    }
}

/// What was set, and where, before it is understood.
pub(crate) struct Given {
    flags: BTreeMap<&'static str, String>,
    environment: BTreeMap<&'static str, String>,
    file: BTreeMap<&'static str, String>,
}

impl Given {
    /// Gathers what flags, environment and file say. An empty variable says nothing.
    pub(crate) fn gather(flags: &ArgMatches, file: Option<&Path>) -> Result<Self> {
        let file = file.map(Path::to_owned).or_else(|| variable("DSPYX_CONFIG").map(Into::into));
        let of_flag = |it: &'static Setting| {
            let value = flags.try_get_one::<String>(it.name).ok().flatten();
            value.map(|text| (it.name, text.clone()))
        };
        Ok(Self {
            flags: settings::all().filter_map(of_flag).collect(),
            environment: settings::all()
                .filter_map(|it| variable(it.name).map(|text| (it.name, text)))
                .collect(),
            file: file.map_or_else(|| Ok(BTreeMap::new()), |path| read(&path))?,
        })
    }

    /// The value that wins, and where it came from.
    pub(crate) fn winner(&self, setting: &Setting) -> (&str, Origin) {
        let places = [
            (&self.flags, Origin::Flag),
            (&self.environment, Origin::Environment),
            (&self.file, Origin::File),
        ];
        let found = places.into_iter().find_map(|(place, origin)| {
            place.get(setting.name).map(|text| (text.as_str(), origin))
        });
        found.unwrap_or((setting.default, Origin::Default))
    }

    /// Understands it all, or names the first setting that cannot be understood.
    pub(crate) fn config(&self) -> Result<Config> {
        let mut config = Config::default();
        for setting in settings::all() {
            let (text, origin) = self.winner(setting);
            if origin != Origin::Default {
                (setting.set)(&mut config, text)
                    .map_err(|allowed| wrong(setting, text, origin, &allowed))?;
            }
        }
        config.server.named = !config.server.url.is_empty();
        if !config.server.named {
            config.server.url = format!("http://127.0.0.1:{}", config.api_port);
        }
        Ok(config)
    }
}

/// The sentence about a value that is not allowed.
fn wrong(setting: &Setting, text: &str, origin: Origin, allowed: &anyhow::Error) -> Usage {
    let name = match origin {
        Origin::Flag => format!("--{}", setting.flag()),
        Origin::File => format!("{} in the configuration file", setting.key()),
        Origin::Environment | Origin::Default => setting.name.to_owned(),
    };
    let value = if setting.is_secret() { "" } else { &format!(" is `{text}`, but") };
    Usage(format!("{name}{value} {allowed}"))
}

/// Reads a configuration file: one `key = value` a line, every key a setting's name in lower case.
fn read(path: &Path) -> Result<BTreeMap<&'static str, String>> {
    let text = fs::read_to_string(path).map_err(|error| {
        Usage(format!("cannot read the configuration file {}: {error}", path.display()))
    })?;
    parse(&text).with_context(|| Usage(format!("{} is not valid", path.display())))
}

/// What a configuration file sets.
pub(crate) fn parse(text: &str) -> Result<BTreeMap<&'static str, String>> {
    let table: toml::Table = text.parse()?;
    let mut found = BTreeMap::new();
    for (key, value) in table {
        let setting = settings::all().find(|it| it.key() == key).ok_or_else(|| unknown(&key))?;
        let text = match value {
            toml::Value::String(text) => text,
            toml::Value::Integer(number) => number.to_string(),
            toml::Value::Float(number) => number.to_string(),
            toml::Value::Boolean(flag) => flag.to_string(),
            toml::Value::Datetime(_) | toml::Value::Array(_) | toml::Value::Table(_) => {
                let what = value.type_str();
                return Err(Usage(format!("`{key}` is of type {what}, not one value")).into());
            }
        };
        found.insert(setting.name, text);
    }
    Ok(found)
}

fn unknown(key: &str) -> Usage {
    let nearest = settings::all()
        .map(|it| (strsim::jaro_winkler(&it.key(), key), it.key()))
        .max_by(|a, b| a.0.total_cmp(&b.0));
    let hint = nearest.map_or_else(String::new, |(_, name)| format!("; did you mean `{name}`?"));
    Usage(format!("there is no setting `{key}`{hint}"))
}

/// A variable of the environment that is set, and not to nothing.
#[expect(clippy::disallowed_methods, reason = "the one place")]
fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|text| !text.is_empty())
}

/// The folder for small files that live as long as a process of this user: the runtime folder of
/// the session, else a folder for state in the home.
pub(crate) fn runtime_dir() -> Option<PathBuf> {
    let home = |below: &str| variable("HOME").map(|home| PathBuf::from(home).join(below));
    let state = || variable("XDG_STATE_HOME").map(PathBuf::from).or_else(|| home(".local/state"));
    variable("XDG_RUNTIME_DIR").map(PathBuf::from).or_else(state).map(|it| it.join("dspyx"))
}

/// The name of the user, for the subject of a token made here.
pub(crate) fn user() -> String {
    variable("USER").unwrap_or_else(|| "local".to_owned())
}

/// The example file: every setting at its default.
pub(crate) fn example() -> String {
    let head =
        "# Every setting at its default, for `--config FILE` or DSPYX_CONFIG=FILE. The same name
# in capitals works in the environment, and with dashes as a flag; flags win over the
# environment, the environment over this file.";
    let mut parts = vec![head.to_owned()];
    for group in settings::Group::ALL {
        parts.push(format!("# {}", group.title()));
        parts.extend(settings::all().filter(|it| it.group == group).map(entry));
    }
    parts.join("\n\n") + "\n"
}

/// A setting at its default, with its sentence.
fn entry(setting: &Setting) -> String {
    let (said, key) = (comment(setting.help), setting.key());
    let bare = setting.default.parse::<f64>().is_ok() || is_flag(setting.default);
    match setting.default {
        "" => format!("{said}\n# {key} = \"\""),
        plain if bare => format!("{said}\n{key} = {plain}"),
        words => format!("{said}\n{key} = \"{words}\""),
    }
}

/// A sentence as comment lines that are not too long.
fn comment(sentence: &str) -> String {
    const LINE_CHARS: usize = 98;
    let mut lines = vec![String::from("#")];
    for word in format!("{sentence}.").split(' ') {
        let last = lines.last().map_or(0, String::len);
        if last + 1 + word.len() > LINE_CHARS {
            lines.push(String::from("#"));
        }
        if let Some(line) = lines.last_mut() {
            line.push(' ');
            line.push_str(word);
        }
    }
    lines.join("\n")
}

fn is_flag(text: &str) -> bool {
    matches!(text, "true" | "false")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(flag: &[(&'static str, &str)], file: &str) -> Given {
        let owned = |it: &(&'static str, &str)| (it.0, it.1.to_owned());
        Given {
            flags: flag.iter().map(owned).collect(),
            environment: BTreeMap::from([("API_PORT", "1".to_owned())]),
            file: parse(file).unwrap(),
        }
    }

    fn shown(config: &Config) -> String {
        format!("{config:#?}")
    }

    #[test]
    fn example_is_the_default() {
        let file = parse(include_str!("../config.example.toml")).unwrap();
        let given = Given { flags: BTreeMap::new(), environment: BTreeMap::new(), file };
        let plain = Config { server: given.config().unwrap().server, ..Config::default() };
        assert_eq!(shown(&given.config().unwrap()), shown(&plain));
        assert_eq!(plain.server.url, "http://127.0.0.1:8001");
    }

    #[test]
    fn example_names_every_setting() {
        assert_eq!(
            include_str!("../config.example.toml"),
            example(),
            "run `dspyx config --example`"
        );
    }

    #[test]
    fn written_defaults_are_the_real_ones() {
        let mut config = Config::default();
        for setting in settings::all().filter(|it| !it.default.is_empty()) {
            (setting.set)(&mut config, setting.default).unwrap();
        }
        assert_eq!(shown(&config), shown(&Config::default()));
    }

    #[test]
    fn flags_win_over_environment_over_file() {
        let three = given(&[("API_PORT", "2")], "api_port = 3").config().unwrap();
        let two = given(&[], "api_port = 3\nmax_workers = 9").config().unwrap();

        assert_eq!(three.api_port, 2);
        assert_eq!((two.api_port, two.worker.slots), (1, 9));
        assert_eq!(two.server.url, "http://127.0.0.1:1");
    }

    #[test]
    fn a_bad_value_names_setting_value_and_what_is_allowed() {
        let error = given(&[("API_PORT", "http")], "").config().unwrap_err().to_string();
        assert_eq!(error, "--api-port is `http`, but must be a whole number from 0 to 65535");
    }

    #[test]
    fn a_secret_is_never_shown() {
        let error = given(&[("SECRET_KEY", "hunter2")], "").config().unwrap_err().to_string();
        assert!(!error.contains("hunter2") && error.contains("32"), "{error}");
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "(hidden)");
    }

    #[test]
    fn an_unknown_key_is_refused_with_the_nearest() {
        let error = parse("api_prot = 1").unwrap_err().to_string();
        assert_eq!(error, "there is no setting `api_prot`; did you mean `api_port`?");
    }
}
