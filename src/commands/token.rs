//! `dspyx token`: what clients show to be let in.

use std::time::Duration;

use anyhow::{Context, Result};
use api::token::{self, Scope};
use chrono::{DateTime, TimeDelta, Utc};
use queue::Queue;
use serde_json::json;

use crate::{
    cli::Token,
    config::{self, Config, Usage},
    output, wire,
};

pub(super) async fn run(config: &Config, command: Token, json: bool) -> Result<()> {
    match command {
        Token::Create { subject, scope, expires } => {
            let subject = subject.unwrap_or_else(config::user);
            create(config, &subject, &scope, expires, json)
        }
        Token::Revoke { text } => {
            let (id, expires) = identity(config, &text)?;
            revoke(wire::queue(config).await?.as_ref(), &id, expires, json).await
        }
        Token::ListRevoked => {
            let revoked = wire::queue_to_read(config).await?.revoked_tokens().await?;
            if json {
                return output::value(&json!({ "revoked": revoked }));
            }
            revoked.iter().try_for_each(output::line)
        }
    }
}

fn create(
    config: &Config,
    subject: &str,
    scopes: &[String],
    expires: Duration,
    json: bool,
) -> Result<()> {
    let key = config.secret_key.as_ref().context(Usage(
        "tokens are signed with SECRET_KEY, which is not set here: give it the same value as \
         where the server runs (`openssl rand -hex 32` makes one)"
            .to_owned(),
    ))?;
    let scopes = scopes.iter().map(|it| it.trim().parse()).collect::<Result<Vec<Scope>, _>>();
    let scopes = scopes.map_err(|error| Usage(format!("--scope: {error}")))?;
    let now = Utc::now();
    let token = token::mint(key, subject, &scopes, expires, now);
    let token = token.map_err(|error| Usage(format!("--subject: {error}")))?;
    if !json {
        return output::line(token);
    }
    let words: Vec<&str> = scopes.iter().map(|it| it.as_str()).collect();
    let end = now + TimeDelta::from_std(expires)?;
    output::value(&json!({
        "token": token, "subject": subject, "scopes": words, "expires_at": end.to_rfc3339(),
    }))
}

async fn revoke(queue: &dyn Queue, id: &str, expires: DateTime<Utc>, json: bool) -> Result<()> {
    queue.revoke_token(id, expires).await?;
    if json {
        return output::value(&json!({ "revoked": id }));
    }
    output::line(format!("revoked {id}, which is worthless from {expires} anyway"))
}

/// A token's name and end.
fn identity(config: &Config, text: &str) -> Result<(String, DateTime<Utc>)> {
    let key = config.secret_key.as_ref().context(Usage(
        "SECRET_KEY is not set here: give it the same value as where the server runs".to_owned(),
    ))?;
    let claims = token::read(key, text).map_err(|error| Usage(error.to_string()))?;
    Ok((claims.id, claims.expires))
}
