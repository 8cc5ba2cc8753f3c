//! Microsoft's tokens for programs: client credentials.

use std::time::{Duration, Instant};

use dfp_plugin::Result;
use serde::Deserialize;

use crate::config::SecretRef;
use crate::http::{Anonymous, Auth, Client, Request};
use crate::url::{self, Url};

/// A token is not used any more so long before it ends.
const MARGIN: Duration = Duration::from_secs(120);

/// A bearer token, fetched when it is needed.
pub(crate) struct OAuth {
    login: Url,
    tenant: String,
    client_id: String,
    secret: SecretRef,
    scope: String,
    token: Option<(String, Instant)>,
}

#[derive(Deserialize)]
struct Token {
    access_token: String,
    expires_in: Expiry,
}

/// A number, or one in quotes, as older endpoints write it.
#[derive(Deserialize)]
#[serde(untagged)]
enum Expiry {
    Number(u64),
    Text(String),
}

impl Auth for OAuth {
    fn headers(&mut self, client: &mut Client, _: &Url) -> Result<Vec<(String, String)>> {
        let token = match &self.token {
            Some((token, until)) if Instant::now() < *until => token.clone(),
            _ => self.fetch(client)?,
        };
        Ok(vec![("authorization".to_owned(), format!("Bearer {token}"))])
    }

    fn renew(&mut self, _: &mut Client) -> Result<bool> {
        self.token = None;
        Ok(true)
    }
}

impl OAuth {
    /// Tokens for the server of `base`.
    pub(crate) fn new(login: Url, base: &Url, tenant: &str, client_id: &str, secret: &SecretRef) -> Self {
        Self {
            login,
            tenant: tenant.to_owned(),
            client_id: client_id.to_owned(),
            secret: secret.clone(),
            scope: format!("{}/.default", base.origin),
            token: None,
        }
    }

    fn fetch(&mut self, client: &mut Client) -> Result<String> {
        let secret = self.secret.fetch(client.host.as_ref())?;
        client.keep_secret(&secret);
        client.keep_secret(&url::encode(&secret, ""));
        let path = format!("/{}/oauth2/v2.0/token", url::encode(&self.tenant, ""));
        let form = url::query(&[
            ("client_id", &self.client_id),
            ("client_secret", &secret),
            ("grant_type", "client_credentials"),
            ("scope", &self.scope),
        ]);
        let request = Request { url: self.login.at(&path, None), form: Some(form) };
        let token = client.fetch(&request, &mut Anonymous, &mut |answer| {
            let token: Token =
                serde_json::from_slice(&answer.body).map_err(|_| "this is no token".to_owned())?;
            let usable = token.access_token.bytes().all(|byte| (0x21..0x7F).contains(&byte));
            if !usable || token.access_token.len() < 8 {
                Err("this is no token".to_owned())
            } else {
                Ok(token)
            }
        })?;
        client.keep_secret(&token.access_token);
        let seconds = match token.expires_in {
            Expiry::Number(seconds) => seconds,
            Expiry::Text(text) => text.parse().unwrap_or(0),
        };
        let lasts = Duration::from_secs(seconds.min(86_400)).saturating_sub(MARGIN);
        self.token = Some((token.access_token.clone(), Instant::now() + lasts));
        Ok(token.access_token)
    }
}
