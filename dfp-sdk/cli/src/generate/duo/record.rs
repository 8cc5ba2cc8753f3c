//! Duo's wire format: an authentication of the Admin API, as log collectors keep it, one JSON object a line.

use super::super::calendar::{MINUTE, SECOND, Ticks};
use super::super::device::{Client, DeviceKind};
use super::super::dice::{Dice, key, scatter, token};
use super::super::json::Object;
use super::super::network::Origin;
use super::super::run::{Event, World};
use super::super::tables::City;
use super::tables::{COUNTRIES, Ending, Integration, Reach};

const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

/// Who is asked to prove who they are.
pub(super) struct Account<'a> {
    /// The name; which form of it depends on the application.
    pub(super) name: &'a str,
    pub(super) email: &'a str,
    pub(super) groups: &'a [String],
    /// What `user.key` is made of.
    pub(super) identity: u64,
}

/// The device that asks for access.
pub(super) struct Asker<'a> {
    pub(super) kind: DeviceKind,
    pub(super) client: &'a Client,
    pub(super) origin: &'a Origin,
}

/// The device that approves.
pub(super) struct Approver<'a> {
    pub(super) name: &'a str,
    pub(super) origin: &'a Origin,
}

/// An authentication.
pub(super) struct Authentication<'a> {
    pub(super) at: Ticks,
    pub(super) account: Account<'a>,
    pub(super) integration: Option<&'a Integration>,
    pub(super) asker: Option<Asker<'a>>,
    pub(super) approver: Option<Approver<'a>>,
    pub(super) factor: &'a str,
    pub(super) ending: Ending,
    pub(super) enrolment: bool,
}

/// Twenty characters, the first two of which say of what.
fn duo_key(kind: &str, what: u64) -> String {
    format!("{kind}{}", token(LETTERS, 18, what))
}

/// The record of an authentication.
pub(super) fn event(world: &World, authentication: &Authentication<'_>, dice: &mut Dice) -> Event {
    let Authentication { at, account, integration, ending, .. } = authentication;
    let id = dice.guid();
    let noise = scatter(id.0 as u64);
    let stamp = world.calendar.stamp(*at);
    let user = Object::new()
        .json("groups", list(account.groups))
        .text("key", &duo_key("DU", account.identity))
        .text("name", account.name)
        .end();
    let record = Object::new()
        .json("access_device", access_device(authentication, noise))
        .json_if("adaptive_trust_assessments", trust(authentication, noise))
        .text("alias", if noise.is_multiple_of(40) { "unknown" } else { "" })
        .json("application", application(*integration, at / (3600 * SECOND), noise))
        .json("auth_device", auth_device(authentication))
        .json("email", optional(Some(account.email).filter(|_| !noise.is_multiple_of(50))))
        .text("event_type", if authentication.enrolment { "enrollment" } else { "authentication" })
        .text("eventtype", "authentication")
        .text("factor", authentication.factor)
        .text("host", &format!("api-{:08x}.duosecurity.com", world.company.identifier("duo").0 as u32))
        .text("isotimestamp", &format!("{}+00:00", &stamp[..26]))
        .json("ood_software", "null")
        .json("reason", optional(ending.reason))
        .text("result", ending.result)
        .json("timestamp", world.calendar.epoch(*at))
        .text_if("trusted_endpoint_status", trusted(authentication, noise))
        .text("txid", &id.to_string())
        .json("user", user);
    // The interface holds back the last two minutes.
    let delivered = at + 2 * MINUTE + dice.int(0, 30 * SECOND);
    Event { at: *at, delivered, id, mark: None, shelf: 0, json: record.end().into_bytes() }
}

fn list(names: &[String]) -> String {
    serde_json::to_string(names).expect("a list of text is always JSON")
}

fn optional(text: Option<&str>) -> String {
    text.map_or_else(|| "null".to_owned(), super::super::json::quoted)
}

/// The application; nothing is known of it in a few records.
fn application(integration: Option<&Integration>, hour: Ticks, noise: u64) -> String {
    let Some(integration) = integration.filter(|_| !noise.is_multiple_of(250)) else {
        return "{}".to_owned();
    };
    let destinations = integration.destinations;
    let destination =
        (!destinations.is_empty()).then(|| destinations[(noise ^ hour as u64) as usize % destinations.len()]);
    Object::new()
        .text_if("destination_name", destination)
        .text("key", &duo_key("DI", key(integration.name)))
        .text("name", integration.name)
        .end()
}

fn location(city: Option<&City>) -> String {
    let country =
        |code: &str| COUNTRIES.iter().find(|(known, _)| *known == code).map_or("", |(_, name)| *name);
    Object::new()
        .json("city", optional(city.map(|city| city.name)))
        .json("country", optional(city.map(|city| country(city.country))))
        .json("state", optional(city.map(|city| city.state)))
        .end()
}

/// A browser or system and its version: `Mobile Safari 26.2`, `Windows11`.
fn name_and_version(text: &str) -> (&str, &str) {
    let end = text.find(|letter: char| letter.is_ascii_digit()).unwrap_or(text.len());
    (text[..end].trim_end(), &text[end..])
}

fn system(text: &str) -> (&'static str, String) {
    let (name, version) = name_and_version(text);
    match name {
        "Windows" => ("Windows", version.to_owned()),
        "MacOs" => ("Mac OS X", "10.15.7".to_owned()),
        "Ios" => ("iOS", version.to_owned()),
        "Android" => ("Android", version.to_owned()),
        _ => ("Linux", String::new()),
    }
}

fn access_device(authentication: &Authentication<'_>, noise: u64) -> String {
    let Some(asker) = &authentication.asker else {
        return Object::new().json("ip", "null").json("location", "{}").end();
    };
    let Asker { kind, client, origin } = asker;
    let reach = authentication.integration.map_or(Reach::Web, |integration| integration.reach);
    let place = Some(origin).and_then(|origin| origin.city);
    let registered = client.registration.as_ref();
    let known = reach == Reach::Web;
    let (browser, version) = name_and_version(&client.browser);
    let (os, os_version) = system(&client.system);
    // The company's computers run an agent that looks after them.
    let agent = known && *kind == DeviceKind::Laptop && registered.is_some();
    let flag = |on: bool| if agent { on.to_string() } else { "\"unknown\"".to_owned() };
    let plugin = optional(known.then_some("uninstalled"));
    let endpoint = registered.filter(|_| agent).map(|device| duo_key("EP", device.id.0 as u64));
    let host = registered.filter(|_| reach == Reach::Host).map(|device| device.name.to_lowercase());
    let os = (reach != Reach::Gateway).then_some(os);
    let os_version = if known { Some(os_version.as_str()).filter(|text| !text.is_empty()) } else { None };
    Object::new()
        .json("browser", optional(known.then_some(browser)))
        .json("browser_version", optional(known.then_some(version)))
        .json("epkey", optional(endpoint.as_deref()))
        .json("flash_version", &plugin)
        .json("hostname", optional(host.as_deref()))
        .text("ip", &origin.address)
        .json("is_encryption_enabled", flag(true))
        .json("is_firewall_enabled", flag(!noise.is_multiple_of(23)))
        .json("is_password_set", flag(true))
        .json("java_version", &plugin)
        .json("location", location(place.filter(|_| !noise.is_multiple_of(120))))
        .json("os", optional(os))
        .json("os_version", optional(os_version))
        .json("security_agents", security_agents(agent, known, *kind))
        .end()
}

fn security_agents(agent: bool, known: bool, kind: DeviceKind) -> &'static str {
    match (agent, known, kind) {
        (true, ..) => r#"[{"security_agent":"windows-defender","version":"4.18.25110.6"}]"#,
        (_, true, DeviceKind::Phone) => "null",
        (_, true, _) => "[]",
        _ => "\"unknown\"",
    }
}

fn auth_device(authentication: &Authentication<'_>) -> String {
    let Some(Approver { name, origin }) = &authentication.approver else {
        return Object::new().json("ip", "null").json("location", location(None)).json("name", "null").end();
    };
    Object::new()
        .text("ip", &origin.address)
        .text("key", &duo_key("DP", key(name)))
        .json("location", location(origin.city))
        .text("name", name)
        .end()
}

/// What is known of the device's standing; nothing at all in a few records.
fn trusted(authentication: &Authentication<'_>, noise: u64) -> Option<&'static str> {
    let web = authentication.integration.is_some_and(|integration| integration.reach == Reach::Web);
    let registered = authentication.asker.as_ref().is_some_and(|asker| asker.client.registration.is_some());
    match (web, registered) {
        _ if noise.is_multiple_of(60) => None,
        (false, _) => Some("unknown"),
        (_, true) => Some("trusted"),
        _ => Some("not trusted"),
    }
}

/// Duo's own opinion, where it has one.
fn trust(authentication: &Authentication<'_>, noise: u64) -> Option<String> {
    let asker = authentication.asker.as_ref()?;
    let web = authentication.integration.is_some_and(|integration| integration.reach == Reach::Web);
    let new = asker.origin.unfamiliar && !noise.is_multiple_of(3);
    let (level, reason) = if new { ("LOW", "Novel Access IP") } else { ("NORMAL", "Known Access IP") };
    let opinion = Object::new()
        .text("features_version", "3.0")
        .text("model_version", "2025.11.04.001")
        .json("policy_enabled", false)
        .text("reason", reason)
        .text("trust_level", level)
        .end();
    web.then(|| Object::new().json("remember_me", opinion).end())
}
