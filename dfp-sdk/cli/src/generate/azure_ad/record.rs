//! Azure's wire format: the diagnostic record of a sign-in, one JSON object a line.

use std::borrow::Cow;

use serde::Serialize;

use super::super::calendar::DAY;
use super::super::company::{Company, app_name};
use super::super::device::Client;
use super::super::dice::{Guid, scatter};
use super::super::run::{Event, World};
use super::super::tables::{
    APPS, Applies, BLOCKED, City, MFA_BY_POLICY, MFA_FAILED, MFA_REQUIRED, Outcome, POLICIES, Policy,
};
use super::sign_in::{Actor, Category, Proof, SignIn};

/// The diagnostic record; the fields stand in the order that Azure writes them in.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Record<'a> {
    time: String,
    resource_id: String,
    operation_name: &'static str,
    operation_version: &'static str,
    category: &'static str,
    tenant_id: Guid,
    result_type: String,
    result_signature: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    result_description: &'static str,
    duration_ms: u32,
    caller_ip_address: &'a str,
    correlation_id: Guid,
    identity: &'a str,
    #[serde(rename = "Level")]
    level: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<&'static str>,
    properties: Properties<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_excessive_bools, reason = "as many as the wire format has")]
struct Properties<'a> {
    id: Guid,
    created_date_time: String,
    user_display_name: &'a str,
    user_principal_name: String,
    user_id: String,
    agent: Agent,
    app_id: Cow<'static, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    app_display_name: Option<&'static str>,
    ip_address: &'a str,
    status: Status,
    client_app_used: &'a str,
    user_agent: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    device_detail: Option<DeviceDetail<'a>>,
    location: Location,
    mfa_detail: MfaDetail,
    correlation_id: Guid,
    conditional_access_status: &'static str,
    applied_conditional_access_policies: Vec<AppliedPolicy>,
    authentication_context_class_references: [(); 0],
    original_request_id: Guid,
    is_interactive: bool,
    token_issuer_name: &'static str,
    token_issuer_type: &'static str,
    authentication_processing_details: Vec<KeyValue>,
    network_location_details: Vec<NetworkLocation>,
    client_credential_type: &'static str,
    processing_time_in_milliseconds: u64,
    risk_detail: &'static str,
    risk_level_aggregated: &'static str,
    risk_level_during_sign_in: &'static str,
    risk_state: &'static str,
    risk_event_types: &'static [&'static str],
    #[serde(rename = "riskEventTypes_v2")]
    risk_event_types_v2: &'static [&'static str],
    resource_display_name: &'static str,
    resource_id: Cow<'static, str>,
    resource_tenant_id: Guid,
    home_tenant_id: Guid,
    tenant_id: Guid,
    authentication_details: Vec<AuthenticationStep>,
    authentication_requirement_policies: Vec<RequirementPolicy>,
    session_lifetime_policies: [(); 0],
    authentication_requirement: &'static str,
    service_principal_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_principal_name: Option<&'a str>,
    user_type: &'static str,
    flagged_for_review: bool,
    is_tenant_restricted: bool,
    autonomous_system_number: u32,
    cross_tenant_access_type: &'static str,
    private_link_details: Empty,
    sso_extension_version: &'static str,
    unique_token_identifier: String,
    authentication_strengths: [(); 0],
    incoming_token_type: &'static str,
    authentication_protocol: &'static str,
    app_service_principal_id: Option<Guid>,
    resource_service_principal_id: Guid,
    rngc_status: u32,
    sign_in_token_protection_status: &'static str,
    token_protection_status_details: TokenProtection,
    original_transfer_method: &'static str,
    is_through_global_secure_access: bool,
    global_secure_access_ip_address: &'static str,
    conditional_access_audiences: [Cow<'static, str>; 1],
    session_id: Guid,
    app_owner_tenant_id: Guid,
    resource_owner_tenant_id: Guid,
}

#[derive(Serialize)]
struct Empty {}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Agent {
    agent_type: &'static str,
    parent_app_id: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    error_code: u32,
    #[serde(skip_serializing_if = "str::is_empty")]
    failure_reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    additional_details: Option<&'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DeviceDetail<'a> {
    device_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    display_name: Option<&'a str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    operating_system: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    browser: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    is_compliant: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    is_managed: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trust_type: Option<&'static str>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Location {
    #[serde(rename_all = "camelCase")]
    Known {
        city: &'static str,
        state: &'static str,
        country_or_region: &'static str,
        geo_coordinates: Coordinates,
    },
    Unknown {},
}

#[derive(Serialize)]
struct Coordinates {
    latitude: f64,
    longitude: f64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MfaDetail {
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_method: Option<&'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AppliedPolicy {
    id: Guid,
    display_name: &'static str,
    enforced_grant_controls: &'static [&'static str],
    enforced_session_controls: [(); 0],
    result: &'static str,
    conditions_satisfied: u32,
    conditions_not_satisfied: u32,
}

#[derive(Serialize)]
struct KeyValue {
    key: &'static str,
    value: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NetworkLocation {
    network_type: &'static str,
    network_names: [&'static str; 1],
}

#[derive(Serialize)]
struct AuthenticationStep {
    #[serde(rename = "authenticationStepDateTime")]
    at: String,
    #[serde(rename = "authenticationMethod")]
    method: &'static str,
    #[serde(rename = "authenticationMethodDetail", skip_serializing_if = "Option::is_none")]
    detail: Option<&'static str>,
    succeeded: bool,
    #[serde(rename = "authenticationStepResultDetail")]
    result: &'static str,
    #[serde(rename = "authenticationStepRequirement")]
    requirement: &'static str,
    #[serde(rename = "StatusSequence")]
    status_sequence: u32,
    #[serde(rename = "RequestSequence")]
    request_sequence: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RequirementPolicy {
    requirement_provider: &'static str,
    detail: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TokenProtection {
    sign_in_session_status: &'static str,
    sign_in_session_status_code: u32,
}

/// The tenant that Microsoft's own apps belong to.
const MICROSOFT: Guid = Guid(0xf8cd_ef31_a31e_4b4a_93e4_5f57_1e91_255a);

/// What a second factor's success or failure is called in the step list.
const MFA_DONE: &str = "MFA successfully completed";
const MFA_DENIED: &str = "MFA denied; user declined the authentication";

/// The record of a sign-in, ready to be written.
pub(super) fn event(world: &World, sign_in: &SignIn<'_>) -> Event {
    let json = serde_json::to_vec(&record(world, sign_in)).expect("no map in it that JSON cannot hold");
    Event { at: sign_in.at, delivered: sign_in.produced(), id: sign_in.id, mark: None, shelf: 0, json }
}

/// The record of a sign-in.
fn record<'a>(world: &'a World, sign_in: &'a SignIn<'_>) -> Record<'a> {
    let (outcome, origin) = (sign_in.outcome, &sign_in.origin);
    let tenant = world.company.tenant;
    Record {
        time: format!("{}Z", world.calendar.stamp(sign_in.produced())),
        resource_id: format!("/tenants/{tenant}/providers/Microsoft.aadiam"),
        operation_name: "Sign-in activity",
        operation_version: "1.0",
        category: category_name(sign_in.category),
        tenant_id: tenant,
        result_type: outcome.code.to_string(),
        result_signature: result_signature(sign_in),
        result_description: outcome.reason,
        duration_ms: 0,
        caller_ip_address: &origin.address,
        correlation_id: sign_in.correlation,
        identity: display(&sign_in.actor),
        level: 4,
        location: origin.city.map(|city| city.country),
        properties: properties(world, sign_in),
    }
}

fn properties<'a>(world: &'a World, sign_in: &'a SignIn<'_>) -> Properties<'a> {
    let company = &world.company;
    let (app, origin, outcome) = (&APPS[sign_in.app], &sign_in.origin, sign_in.outcome);
    let client = sign_in.client.as_ref();
    let created = format!("{}+00:00", world.calendar.stamp(sign_in.at));
    let principal = sign_in.category == Category::ServicePrincipal;
    let (user, user_id) = user(sign_in);
    let resource = app.resource.id.map_or_else(|| app_id(company, sign_in.app), Cow::Borrowed);
    let resource_name = if app.resource.name.is_empty() { app.name } else { app.resource.name };
    let owner = if app.id.is_some() { MICROSOFT } else { company.tenant };
    let noise = scatter(sign_in.id.0 as u64);
    let risk: &[&str] =
        if origin.unfamiliar && noise.is_multiple_of(30) { &["unfamiliarFeatures"] } else { &[] };
    let risk_level = if risk.is_empty() { "none" } else { "low" };
    Properties {
        id: sign_in.id,
        user_display_name: if principal { "" } else { display(&sign_in.actor) },
        user_principal_name: user,
        user_id,
        agent: Agent { agent_type: "notAgentic", parent_app_id: "" },
        app_id: app_id(company, sign_in.app),
        app_display_name: (!principal).then_some(app.name),
        ip_address: &origin.address,
        status: Status {
            error_code: outcome.code,
            failure_reason: outcome.reason,
            additional_details: outcome.details,
        },
        client_app_used: client.filter(|_| !principal).map_or("", |client| client.used),
        user_agent: client.filter(|_| !principal).map_or("", |client| &client.agent),
        device_detail: client.filter(|_| !principal).map(device_detail),
        location: origin.city.map_or(Location::Unknown {}, location),
        mfa_detail: MfaDetail { auth_method: second_factor(sign_in) },
        correlation_id: sign_in.correlation,
        conditional_access_status: conditional_access_status(sign_in),
        applied_conditional_access_policies: applied_policies(company, sign_in),
        authentication_context_class_references: [],
        original_request_id: sign_in.id,
        is_interactive: sign_in.category == Category::Interactive,
        token_issuer_name: "",
        token_issuer_type: "AzureAD",
        authentication_processing_details: processing_details(client, noise),
        network_location_details: origin.named.map(network_location).into_iter().collect(),
        client_credential_type: if principal { "clientSecret" } else { "none" },
        processing_time_in_milliseconds: 40 + noise % 97 + (noise >> 32) % 19 * ((noise >> 40) % 23),
        risk_detail: "none",
        risk_level_aggregated: risk_level,
        risk_level_during_sign_in: risk_level,
        risk_state: if risk.is_empty() { "none" } else { "atRisk" },
        risk_event_types: risk,
        risk_event_types_v2: risk,
        resource_display_name: resource_name,
        resource_id: resource.clone(),
        resource_tenant_id: company.tenant,
        home_tenant_id: company.tenant,
        tenant_id: company.tenant,
        authentication_details: authentication_steps(sign_in, &created),
        authentication_requirement_policies: requirement_policies(sign_in),
        session_lifetime_policies: [],
        authentication_requirement: authentication_requirement(sign_in),
        service_principal_id: service_id(sign_in).map(|id| id.to_string()).unwrap_or_default(),
        service_principal_name: principal.then(|| display(&sign_in.actor)),
        user_type: "Member",
        flagged_for_review: false,
        is_tenant_restricted: false,
        autonomous_system_number: origin.system,
        cross_tenant_access_type: "none",
        private_link_details: Empty {},
        sso_extension_version: "",
        unique_token_identifier: token_identifier(sign_in.id),
        authentication_strengths: [],
        incoming_token_type: incoming_token_type(sign_in),
        authentication_protocol: authentication_protocol(client),
        app_service_principal_id: app
            .id
            .is_none()
            .then(|| company.identifier(&format!("{} principal", app.name))),
        resource_service_principal_id: company.identifier(&format!("{resource_name} resource")),
        rngc_status: 0,
        sign_in_token_protection_status: "none",
        token_protection_status_details: token_protection(client),
        original_transfer_method: "none",
        is_through_global_secure_access: false,
        global_secure_access_ip_address: "",
        conditional_access_audiences: [resource],
        session_id: session_id(sign_in),
        app_owner_tenant_id: owner,
        resource_owner_tenant_id: owner,
        created_date_time: created,
    }
}

fn category_name(category: Category) -> &'static str {
    match category {
        Category::Interactive => "SignInLogs",
        Category::NonInteractive => "NonInteractiveUserSignInLogs",
        Category::ServicePrincipal => "ServicePrincipalSignInLogs",
    }
}

fn result_signature(sign_in: &SignIn<'_>) -> &'static str {
    match (sign_in.category, sign_in.outcome.succeeded()) {
        (Category::Interactive, _) => "None",
        (_, true) => "SUCCESS",
        (_, false) => "FAILURE",
    }
}

fn display<'a>(actor: &Actor<'a>) -> &'a str {
    match actor {
        Actor::Person(person) => &person.display,
        Actor::Service(service) => &service.display,
    }
}

/// `userPrincipalName` and `userId`: a person's name as it was typed; nothing for a service principal.
fn user(sign_in: &SignIn<'_>) -> (String, String) {
    match (sign_in.actor, sign_in.category) {
        (_, Category::ServicePrincipal) => (String::new(), String::new()),
        (Actor::Service(service), _) => (service.upn.clone(), service.id.to_string()),
        (Actor::Person(person), _) => {
            let typed = sign_in.client.as_ref().map(|client| client.spelling.apply(&person.upn));
            (typed.unwrap_or_else(|| person.upn.clone()), person.id.to_string())
        }
    }
}

fn service_id(sign_in: &SignIn<'_>) -> Option<Guid> {
    match (sign_in.actor, sign_in.category) {
        (Actor::Service(service), Category::ServicePrincipal) => Some(service.id),
        _ => None,
    }
}

fn app_id(company: &Company, app: usize) -> Cow<'static, str> {
    APPS[app].id.map_or_else(|| Cow::Owned(company.identifier(app_name(app)).to_string()), Cow::Borrowed)
}

fn device_detail(client: &Client) -> DeviceDetail<'_> {
    let registration = client.registration.as_ref();
    DeviceDetail {
        device_id: registration.map(|registration| registration.id.to_string()).unwrap_or_default(),
        display_name: registration.map(|registration| registration.name.as_str()),
        operating_system: &client.system,
        browser: &client.browser,
        is_compliant: registration.filter(|registration| registration.managed).map(|_| true),
        is_managed: registration.map(|registration| registration.managed),
        trust_type: registration.map(|registration| registration.trust),
    }
}

fn location(city: &City) -> Location {
    let geo_coordinates = Coordinates { latitude: city.latitude, longitude: city.longitude };
    Location::Known { city: city.name, state: city.state, country_or_region: city.country, geo_coordinates }
}

fn network_location((kind, name): (&'static str, &'static str)) -> NetworkLocation {
    NetworkLocation { network_type: kind, network_names: [name] }
}

/// The second factor that was asked for.
fn second_factor(sign_in: &SignIn<'_>) -> Option<&'static str> {
    match sign_in.actor {
        Actor::Person(person) if sign_in.proof == Proof::SecondFactor || *sign_in.outcome == MFA_FAILED => {
            Some(person.factor)
        }
        _ => None,
    }
}

/// Outcomes that a policy asked for.
fn by_policy(outcome: &Outcome) -> bool {
    [&MFA_REQUIRED, &MFA_BY_POLICY, &MFA_FAILED, &BLOCKED].contains(&outcome)
}

/// Policies come after the password.
fn reached_policies(sign_in: &SignIn<'_>) -> bool {
    sign_in.outcome.succeeded() || by_policy(sign_in.outcome)
}

fn conditional_access_status(sign_in: &SignIn<'_>) -> &'static str {
    if !reached_policies(sign_in) || sign_in.category != Category::Interactive {
        "notApplied"
    } else if by_policy(sign_in.outcome) {
        "failure"
    } else {
        "success"
    }
}

fn applied_policies(company: &Company, sign_in: &SignIn<'_>) -> Vec<AppliedPolicy> {
    if sign_in.category != Category::Interactive {
        return Vec::new();
    }
    POLICIES.iter().map(|policy| applied_policy(company, sign_in, policy)).collect()
}

fn applied_policy(company: &Company, sign_in: &SignIn<'_>, policy: &'static Policy) -> AppliedPolicy {
    let result = policy_result(sign_in, policy.applies);
    let (conditions_satisfied, conditions_not_satisfied) = match result {
        "notApplied" => (1, 2),
        _ => (3, 0),
    };
    AppliedPolicy {
        id: company.identifier(policy.name),
        display_name: policy.name,
        enforced_grant_controls: policy.grants,
        enforced_session_controls: [],
        result,
        conditions_satisfied,
        conditions_not_satisfied,
    }
}

fn policy_result(sign_in: &SignIn<'_>, applies: Applies) -> &'static str {
    let concerned = match applies {
        Applies::Outside => sign_in.origin.named.is_none(),
        Applies::Legacy => sign_in.client.as_ref().is_some_and(|client| client.legacy),
    };
    match applies {
        _ if !concerned || !reached_policies(sign_in) => "notApplied",
        Applies::Legacy => "reportOnlyFailure",
        Applies::Outside if by_policy(sign_in.outcome) => "failure",
        Applies::Outside => "success",
    }
}

fn processing_details(client: Option<&Client>, noise: u64) -> Vec<KeyValue> {
    let flag = |key, value: bool| KeyValue { key, value: if value { "True" } else { "False" } };
    let rich = client.is_some_and(|client| client.used != "Browser");
    let mut details = Vec::with_capacity(5);
    if noise.is_multiple_of(3) {
        details.push(flag("Domain Hint Present", true));
    }
    if !noise.is_multiple_of(5) {
        details.push(flag("Login Hint Present", true));
    }
    details.push(flag("Legacy TLS (TLS 1.0, 1.1, 3DES)", false));
    details.push(KeyValue {
        key: "Oauth Scope Info",
        value: if rich { "[\"user_impersonation\"]" } else { "" },
    });
    details.push(flag("Is CAE Token", noise.is_multiple_of(7)));
    details
}

fn authentication_steps(sign_in: &SignIn<'_>, created: &str) -> Vec<AuthenticationStep> {
    if sign_in.category != Category::Interactive {
        return Vec::new();
    }
    let first = match sign_in.proof {
        Proof::Claim => step(created, "Previously satisfied", None, true, FIRST_FACTOR_BY_CLAIM, 0),
        _ => password_step(sign_in.outcome, created),
    };
    let second = second_factor(sign_in).map(|method| {
        let done = sign_in.outcome.succeeded();
        step(created, method, None, done, if done { MFA_DONE } else { MFA_DENIED }, 1)
    });
    [Some(first), second].into_iter().flatten().collect()
}

const FIRST_FACTOR_BY_CLAIM: &str = "First factor requirement satisfied by claim in the token";

fn password_step(outcome: &Outcome, created: &str) -> AuthenticationStep {
    let refused = (50_000..50_060).contains(&outcome.code) || outcome.code == 50126;
    let result = match outcome.code {
        50126 => "Invalid username or password or Invalid on-premise username or password.",
        _ if refused => outcome.reason,
        _ => "Correct password",
    };
    step(created, "Password", Some("Password Hash Sync"), !refused, result, 0)
}

fn step(
    created: &str,
    method: &'static str,
    detail: Option<&'static str>,
    succeeded: bool,
    result: &'static str,
    sequence: u32,
) -> AuthenticationStep {
    AuthenticationStep {
        at: created.to_owned(),
        method,
        detail,
        succeeded,
        result,
        requirement: "Primary authentication",
        status_sequence: sequence,
        request_sequence: 1,
    }
}

fn needs_second_factor(sign_in: &SignIn<'_>) -> bool {
    sign_in.proof == Proof::SecondFactor || by_policy(sign_in.outcome)
}

fn authentication_requirement(sign_in: &SignIn<'_>) -> &'static str {
    if needs_second_factor(sign_in) { "multiFactorAuthentication" } else { "singleFactorAuthentication" }
}

fn requirement_policies(sign_in: &SignIn<'_>) -> Vec<RequirementPolicy> {
    let policy =
        RequirementPolicy { requirement_provider: "multiConditionalAccess", detail: "Conditional Access" };
    needs_second_factor(sign_in).then_some(policy).into_iter().collect()
}

fn incoming_token_type(sign_in: &SignIn<'_>) -> &'static str {
    let registered = sign_in.client.as_ref().is_some_and(|client| client.registration.is_some());
    match sign_in.proof {
        Proof::Claim if registered => "primaryRefreshToken",
        _ => "none",
    }
}

fn authentication_protocol(client: Option<&Client>) -> &'static str {
    if client.is_some_and(|client| client.legacy) { "ropc" } else { "none" }
}

fn token_protection(client: Option<&Client>) -> TokenProtection {
    if client.is_some_and(|client| client.registration.is_some()) {
        TokenProtection { sign_in_session_status: "bound", sign_in_session_status_code: 0 }
    } else {
        TokenProtection { sign_in_session_status: "unbound", sign_in_session_status_code: 1002 }
    }
}

/// Twenty-two characters of URL-safe base 64, as Azure writes 128 bits.
fn token_identifier(id: Guid) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let character = |place: u32| char::from(ALPHABET[(id.0.rotate_left(6 * place) & 63) as usize]);
    (0..22).map(character).collect()
}

/// One session for an actor, a device and a day.
fn session_id(sign_in: &SignIn<'_>) -> Guid {
    let agent = sign_in.client.as_ref().map_or("", |client| &client.agent);
    let day = sign_in.at.div_euclid(DAY) as u64;
    let key = agent
        .bytes()
        .chain(sign_in.actor.user().bytes())
        .fold(day, |sum, byte| scatter(sum ^ u64::from(byte)));
    Guid::new(key, scatter(key))
}
