//! The providers that speak the OpenAI protocol: where they are, and how they differ.

use dspy::{LmEndpoint, LmError};
use programs::Origin;
use reqwest::Url;

use super::{GatewayConfig, trust::Trust};

/// What is known of a provider.
pub(super) struct Provider {
    /// What its models' names begin with, before the slash.
    pub(super) prefix: &'static str,
    /// Where it is; empty if everybody has their own.
    base: &'static str,
    /// The variable that holds its key; empty if it needs none.
    key: &'static str,
    /// How its requests name the longest reply.
    pub(super) tokens: &'static str,
}

impl Provider {
    /// Whether it is a server that people run themselves, and no one sends a bill.
    pub(super) fn is_own_server(&self) -> bool {
        self.key.is_empty()
    }
}

const MODERN: &str = "max_completion_tokens";
const CLASSIC: &str = "max_tokens";

#[rustfmt::skip]
const PROVIDERS: [Provider; 17] = [
    provider("openai", "https://api.openai.com/v1", "OPENAI_API_KEY", MODERN),
    provider("azure", "", "AZURE_API_KEY", MODERN),
    provider("anthropic", "https://api.anthropic.com/v1", "ANTHROPIC_API_KEY", CLASSIC),
    provider("gemini", "https://generativelanguage.googleapis.com/v1beta/openai", "GEMINI_API_KEY",
        CLASSIC),
    provider("groq", "https://api.groq.com/openai/v1", "GROQ_API_KEY", CLASSIC),
    provider("openrouter", "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY", CLASSIC),
    provider("deepseek", "https://api.deepseek.com/v1", "DEEPSEEK_API_KEY", CLASSIC),
    provider("xai", "https://api.x.ai/v1", "XAI_API_KEY", CLASSIC),
    provider("moonshot", "https://api.moonshot.ai/v1", "MOONSHOT_API_KEY", CLASSIC),
    provider("mistral", "https://api.mistral.ai/v1", "MISTRAL_API_KEY", CLASSIC),
    provider("together_ai", "https://api.together.xyz/v1", "TOGETHERAI_API_KEY", CLASSIC),
    provider("fireworks_ai", "https://api.fireworks.ai/inference/v1", "FIREWORKS_AI_API_KEY",
        CLASSIC),
    provider("ollama", "http://localhost:11434/v1", "", CLASSIC),
    provider("ollama_chat", "http://localhost:11434/v1", "", CLASSIC),
    provider("lm_studio", "http://localhost:1234/v1", "", CLASSIC),
    provider("hosted_vllm", "", "", CLASSIC),
    provider("vllm", "", "", CLASSIC),
];

/// The prefix of the offline model.
pub(super) const DUMMY: &str = "dummy";

/// The variable that holds the key of any endpoint that has no other.
const ANY_KEY: &str = "LM_API_KEY";

const fn provider(
    prefix: &'static str,
    base: &'static str,
    key: &'static str,
    tokens: &'static str,
) -> Provider {
    Provider { prefix, base, key, tokens }
}

/// What the names of models begin with that can be asked.
pub(super) fn prefixes() -> impl Iterator<Item = &'static str> {
    PROVIDERS.iter().map(|it| it.prefix).chain([DUMMY])
}

/// The hosts at which providers are, with what the names of their models begin with.
pub(super) fn hosts() -> impl Iterator<Item = (String, &'static str)> {
    let host = |it: &Provider| Some((Url::parse(it.base).ok()?.host_str()?.to_owned(), it.prefix));
    PROVIDERS.iter().filter(|it| !it.is_own_server()).filter_map(host)
}

/// The variables that hold providers' keys.
pub(super) fn keys() -> impl Iterator<Item = &'static str> {
    PROVIDERS.iter().map(|it| it.key).filter(|it| !it.is_empty())
}

/// Where a program wants its models to be asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Endpoint<'a> {
    /// The base URL; the provider's own if none.
    pub(super) api_base: Option<&'a str>,
    /// The variable that holds the key; the provider's own if none.
    pub(super) api_key_env: Option<&'a str>,
    /// Who says so.
    pub(super) origin: Origin,
}

impl<'a> Endpoint<'a> {
    /// As that program says.
    pub(super) fn of(it: &'a LmEndpoint, origin: Origin) -> Self {
        let (api_base, api_key_env) = (it.api_base.as_deref(), it.api_key_env.as_deref());
        Self { api_base, api_key_env, origin }
    }

    /// The provider's own.
    pub(super) fn of_provider(origin: Origin) -> Self {
        Self { api_base: None, api_key_env: None, origin }
    }
}

/// What decides where a request goes.
#[derive(Clone, Copy)]
pub(super) struct Signpost<'a> {
    pub(super) config: &'a GatewayConfig,
    pub(super) trust: &'a Trust,
}

/// Where one request goes.
pub(super) struct Route<'a> {
    /// Who answers there.
    pub(super) provider: &'static Provider,
    /// The model as the endpoint calls it.
    pub(super) model: &'a str,
    /// The address.
    pub(super) url: String,
    /// The header that proves who asks, and its value.
    pub(super) key: Option<(&'static str, String)>,
}

impl Route<'_> {
    /// The host and the port that it leads to.
    pub(super) fn server(&self) -> Option<(String, u16)> {
        let url = reqwest::Url::parse(&self.url).ok()?;
        Some((url.host_str()?.to_owned(), url.port_or_known_default()?))
    }

    /// The same endpoint, asked for embeddings.
    pub(super) fn for_embeddings(mut self) -> Self {
        let base = self.url.trim_end_matches("/chat/completions");
        self.url = format!("{base}/embeddings");
        self
    }
}

/// The provider of a model, and the model as that provider calls it.
pub(super) fn split(model: &str) -> Result<(&'static Provider, &str), LmError> {
    let Some((prefix, rest)) = model.split_once('/') else { return Ok((&PROVIDERS[0], model)) };
    match PROVIDERS.iter().find(|it| it.prefix == prefix) {
        Some(provider) if !rest.is_empty() => Ok((provider, rest)),
        Some(_) => {
            Err(LmError::Configuration(format!("`{model}` names no model after `{prefix}/`")))
        }
        None => {
            let known: Vec<_> = PROVIDERS.iter().map(|it| it.prefix).collect();
            Err(LmError::Configuration(format!(
                "`{prefix}/` is no provider that is known ({DUMMY}, {}); \
                 for any other endpoint write `openai/{model}` and set api_base",
                known.join(", ")
            )))
        }
    }
}

/// Where to ask a model.
pub(super) fn route<'a>(
    model: &'a str,
    endpoint: Endpoint<'_>,
    signpost: Signpost<'_>,
) -> Result<Route<'a>, LmError> {
    let (provider, model) = split(model)?;
    let config = signpost.config;
    let shared = (provider.prefix == "openai" || provider.base.is_empty())
        .then_some(config.api_base.as_deref())
        .flatten();
    let given = endpoint.api_base.or(shared);
    let base = given.unwrap_or(provider.base);
    if base.is_empty() {
        let prefix = provider.prefix;
        return Err(LmError::Configuration(format!(
            "`{prefix}/` models have no address of their own: set lm.api_base or LM_API_BASE"
        )));
    }
    if !is_address(base) {
        return Err(LmError::Configuration(format!(
            "lm.api_base: `{base}` is not an http address"
        )));
    }
    let key = match key(provider, endpoint, given.is_some(), config)? {
        Some(key) if may_have(&key, provider, base, endpoint, signpost) => Some(key.header),
        // A server that asks for no key is none the worse for it.
        Some(_) if provider.is_own_server() && endpoint.api_key_env.is_none() => None,
        Some(key) => return Err(untrusted(key.name, base)),
        None => None,
    };
    let url = format!("{}/chat/completions", base.trim_end_matches('/'));
    Ok(Route { provider, model, url, key })
}

/// Whether requests can be sent there.
pub(super) fn is_address(base: &str) -> bool {
    let http = base.starts_with("http://") || base.starts_with("https://");
    http && Url::parse(base).is_ok_and(|url| url.has_host())
}

/// A key, and the variable that holds it.
struct Key<'a> {
    name: &'a str,
    header: (&'static str, String),
}

/// The key of an endpoint. One with its own address may need none.
fn key<'a>(
    provider: &Provider,
    endpoint: Endpoint<'a>,
    own_address: bool,
    config: &GatewayConfig,
) -> Result<Option<Key<'a>>, LmError> {
    let get = |name: &'a str| {
        let key = config.keys.get(name)?;
        let header = match provider.prefix {
            "azure" => ("api-key", key),
            _ => ("authorization", format!("Bearer {key}")),
        };
        Some(Key { name, header })
    };
    if let Some(name) = endpoint.api_key_env {
        let missing = || LmError::Configuration(format!("lm.api_key_env: {name} is not set"));
        return Ok(Some(get(name).ok_or_else(missing)?));
    }
    let name = provider.key;
    let own = || (!name.is_empty()).then(|| get(name)).flatten();
    let any = || get(ANY_KEY);
    let found = if own_address { any().or_else(own) } else { own().or_else(any) };
    match found {
        Some(key) => Ok(Some(key)),
        None if own_address || name.is_empty() => Ok(None),
        None => Err(LmError::Configuration(format!(
            "`{}/` models need a key: set {name}",
            provider.prefix
        ))),
    }
}

/// Whether a key may be sent to an address: to its provider's own, or to one that is trusted. Who
/// may register a program must not be able to have keys sent to themselves.
fn may_have(
    key: &Key<'_>,
    provider: &Provider,
    base: &str,
    endpoint: Endpoint<'_>,
    signpost: Signpost<'_>,
) -> bool {
    let is_of_another = PROVIDERS.iter().any(|it| it.key == key.name) && key.name != provider.key;
    let own = endpoint.api_base.is_none() && !is_of_another;
    own || signpost.trust.covers(base, endpoint.origin)
}

fn untrusted(name: &str, base: &str) -> LmError {
    LmError::Configuration(format!(
        "{name} is not sent to {base}, which a program registered over HTTP names: add the \
         address to TRUSTED_BASES, or put the program into PROGRAMS_DIR"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Keys;

    fn config(keys: &'static [&'static str]) -> GatewayConfig {
        let lookup = |name: &str| keys.contains(&name).then(|| format!("the {name}"));
        GatewayConfig { keys: Keys::new(lookup), ..GatewayConfig::default() }
    }

    const FROM_FILE: Endpoint<'_> =
        Endpoint { api_base: None, api_key_env: None, origin: Origin::File };

    fn routed(model: &str, endpoint: Endpoint<'_>, config: &GatewayConfig) -> String {
        let trust = Trust::new(&config.trusted_bases).unwrap();
        match route(model, endpoint, Signpost { config, trust: &trust }) {
            Ok(it) => {
                let (header, key) = it.key.unwrap_or(("none", String::new()));
                format!("{} {} {} {header} {key}", it.model, it.url, it.provider.tokens)
            }
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn models_go_where_their_prefix_says() {
        let config = config(&["OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GROQ_API_KEY"]);
        let cases = [
            (
                "openai/gpt-4o-mini",
                "gpt-4o-mini https://api.openai.com/v1/chat/completions \
              max_completion_tokens authorization Bearer the OPENAI_API_KEY",
            ),
            (
                "gpt-4o-mini",
                "gpt-4o-mini https://api.openai.com/v1/chat/completions \
              max_completion_tokens authorization Bearer the OPENAI_API_KEY",
            ),
            (
                "anthropic/claude",
                "claude https://api.anthropic.com/v1/chat/completions \
              max_tokens authorization Bearer the ANTHROPIC_API_KEY",
            ),
            (
                "groq/meta/llama",
                "meta/llama https://api.groq.com/openai/v1/chat/completions \
              max_tokens authorization Bearer the GROQ_API_KEY",
            ),
            (
                "ollama_chat/llama3",
                "llama3 http://localhost:11434/v1/chat/completions \
              max_tokens none ",
            ),
            ("xai/grok", "`xai/` models need a key: set XAI_API_KEY"),
            (
                "hosted_vllm/x",
                "`hosted_vllm/` models have no address of their own: \
              set lm.api_base or LM_API_BASE",
            ),
            ("openai/", "`openai/` names no model after `openai/`"),
        ];
        for (model, expected) in cases {
            assert_eq!(routed(model, FROM_FILE, &config), expected);
        }
    }

    #[test]
    fn a_key_goes_with_its_address() {
        let keys = config(&["AZURE_API_KEY"]);
        let base = Some("https://team.openai.azure.com/openai/v1");
        let azure = routed("azure/m", Endpoint { api_base: base, ..FROM_FILE }, &keys);
        let url = "m https://team.openai.azure.com/openai/v1/chat/completions";
        assert_eq!(azure, format!("{url} {MODERN} api-key the AZURE_API_KEY"));

        let config = config(&["OPENAI_API_KEY", "LM_API_KEY", "MINE"]);
        let api_base = Some("http://127.0.0.1:9/v1/");
        let at = |api_key_env| Endpoint { api_base, api_key_env, ..FROM_FILE };

        let url = "m http://127.0.0.1:9/v1/chat/completions";
        let (any, mine) = (routed("openai/m", at(None), &config), at(Some("MINE")));

        assert_eq!(any, format!("{url} {MODERN} authorization Bearer the LM_API_KEY"));
        assert_eq!(
            routed("hosted_vllm/m", mine, &config),
            format!("{url} {CLASSIC} authorization Bearer the MINE")
        );
        let gone = routed("openai/m", at(Some("GONE")), &config);
        assert_eq!(gone, "lm.api_key_env: GONE is not set");
    }

    #[test]
    fn a_registered_program_cannot_have_keys_sent_where_it_likes() {
        let mut config = config(&["OPENAI_API_KEY", "GROQ_API_KEY", "TEAM_API_KEY"]);
        let theirs = Some("https://evil.example/v1");
        let by =
            |api_base, api_key_env| Endpoint { api_base, api_key_env, origin: Origin::Registered };

        for name in [None, Some("OPENAI_API_KEY"), Some("TEAM_API_KEY")] {
            let said = routed("openai/m", by(theirs, name), &config);
            let name = name.unwrap_or("OPENAI_API_KEY");
            assert_eq!(
                said,
                format!(
                    "{name} is not sent to https://evil.example/v1, which a program registered \
                     over HTTP names: add the address to TRUSTED_BASES, or put the program into \
                     PROGRAMS_DIR"
                )
            );
        }
        let of_another = routed("openai/m", by(None, Some("GROQ_API_KEY")), &config);
        assert!(of_another.starts_with("GROQ_API_KEY is not sent to https://api.openai"));
        let of_theirs = routed("openai/m", by(None, Some("TEAM_API_KEY")), &config);
        assert!(of_theirs.ends_with("authorization Bearer the TEAM_API_KEY"), "{of_theirs}");

        config.trusted_bases = vec!["https://evil.example".to_owned()];
        let trusted = routed("openai/m", by(theirs, None), &config);
        assert!(trusted.ends_with("authorization Bearer the OPENAI_API_KEY"), "{trusted}");
        let without = GatewayConfig { trusted_bases: vec![], ..self::config(&["LM_API_KEY"]) };
        let open = routed("ollama/m", by(theirs, None), &without);
        assert!(open.ends_with("max_tokens none "), "{open}");
    }

    #[test]
    fn addresses_that_are_none_are_refused() {
        for base in ["ftp://x", "http://", "localhost:1", "file:///etc/passwd"] {
            assert!(!is_address(base), "{base}");
        }
    }
}
