//! `CloudTrail`'s wire format: the record of a call.

use super::super::calendar::{MINUTE, Ticks};
use super::super::dice::{Dice, Guid, scatter};
use super::super::json::{Object, fill, quoted};
use super::super::run::{Event, World};
use super::calls::{Call, Kind};
use super::estate::{Estate, identifier, minor};
use super::work::{AGENTS, GLOBAL, GLOBAL_SERVICES, HOME, PRODUCTION, REGIONS, Tool};

/// Who calls.
#[derive(Clone)]
pub(super) struct Session {
    pub(super) account: usize,
    /// `userIdentity`.
    pub(super) identity: String,
    pub(super) arn: String,
    /// The name of the user or of the role's session.
    pub(super) name: String,
    pub(super) role: String,
    /// Whether it began with a sign-in to the web console.
    pub(super) console: bool,
}

/// How a call ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Done,
    /// The caller may not.
    Denied,
    /// There is no such thing.
    Missing,
    Throttled,
}

/// A call to be recorded.
pub(super) struct Request<'a> {
    pub(super) at: Ticks,
    pub(super) call: &'static Call,
    pub(super) session: &'a Session,
    pub(super) region: usize,
    pub(super) address: &'a str,
    pub(super) agent: &'a str,
    /// Whether it came over a connection of its own, not through the console's.
    pub(super) direct: bool,
    pub(super) ending: Ending,
}

/// A user with a long-lived key.
pub(super) fn user(estate: &Estate, account: usize, name: &str) -> Session {
    let number = &estate.accounts[account];
    let arn = format!("arn:aws:iam::{number}:user/{name}");
    let identity = user_identity(number, &arn).text("accessKeyId", &identifier("AKIA", &arn));
    let identity = identity.text("userName", name).end();
    Session { account, identity, arn, name: name.to_owned(), role: String::new(), console: false }
}

/// A user who signed in to the console.
pub(super) fn console_user(estate: &Estate, account: usize, name: &str, since: &str, mfa: bool) -> Session {
    let number = &estate.accounts[account];
    let arn = format!("arn:aws:iam::{number}:user/{name}");
    let attributes = Object::new().json("attributes", attributes(since, mfa)).end();
    let identity = user_identity(number, &arn)
        .text("accessKeyId", &identifier("ASIA", &format!("{arn}{since}")))
        .text("userName", name)
        .json("sessionContext", attributes)
        .end();
    Session { account, identity, arn, name: name.to_owned(), role: String::new(), console: true }
}

fn user_identity(number: &str, arn: &str) -> Object {
    Object::new()
        .text("type", "IAMUser")
        .text("principalId", &identifier("AIDA", arn))
        .text("arn", arn)
        .text("accountId", number)
}

/// The account's owner in the console.
pub(super) fn root(estate: &Estate, account: usize, since: &str) -> Session {
    let number = &estate.accounts[account];
    let arn = format!("arn:aws:iam::{number}:root");
    let context = Object::new().json("attributes", attributes(since, true)).end();
    let identity = Object::new()
        .text("type", "Root")
        .text("principalId", number)
        .text("arn", &arn)
        .text("accountId", number)
        .text("accessKeyId", &identifier("ASIA", &format!("{arn}{since}")))
        .json("sessionContext", context)
        .end();
    Session { account, identity, arn, name: "root".to_owned(), role: String::new(), console: true }
}

/// Somebody in a role.
pub(super) struct Assumed<'a> {
    pub(super) account: usize,
    /// As in its address: `aws-reserved/sso.amazonaws.com/eu-west-1/`, or nothing.
    pub(super) path: &'a str,
    pub(super) role: &'a str,
    pub(super) name: &'a str,
    pub(super) since: &'a str,
    pub(super) mfa: bool,
    pub(super) console: bool,
    /// Whether it is a virtual machine's own role.
    pub(super) machine: bool,
}

pub(super) fn assumed(estate: &Estate, assumed: &Assumed<'_>) -> Session {
    let Assumed { account, path, role, name, since, mfa, console, machine } = *assumed;
    let number = &estate.accounts[account];
    let issuer = format!("arn:aws:iam::{number}:role/{path}{role}");
    let principal = identifier("AROA", &issuer);
    let arn = format!("arn:aws:sts::{number}:assumed-role/{role}/{name}");
    let role_object = Object::new()
        .text("type", "Role")
        .text("principalId", &principal)
        .text("arn", &issuer)
        .text("accountId", number)
        .text("userName", role)
        .end();
    let old = (!mfa && !console).then_some("{}");
    let context = Object::new()
        .json("sessionIssuer", role_object)
        .json_if("webIdFederationData", old)
        .json("attributes", attributes(since, mfa))
        .text_if("ec2RoleDelivery", machine.then_some("2.0"));
    let identity = Object::new()
        .text("type", "AssumedRole")
        .text("principalId", &format!("{principal}:{name}"))
        .text("arn", &arn)
        .text("accountId", number)
        .text("accessKeyId", &identifier("ASIA", &format!("{arn}{since}")))
        .json("sessionContext", context.end())
        .end();
    Session { account, identity, arn, name: name.to_owned(), role: role.to_owned(), console }
}

fn attributes(since: &str, mfa: bool) -> String {
    Object::new()
        .text("creationDate", &format!("{since}Z"))
        .text("mfaAuthenticated", if mfa { "true" } else { "false" })
        .end()
}

/// Somebody whom AWS knows by no more than this: a service, a supplier, who asks for a role.
pub(super) fn plain(account: usize, identity: Object, role: &str, name: &str) -> Session {
    Session {
        account,
        identity: identity.end(),
        arn: String::new(),
        name: name.to_owned(),
        role: role.to_owned(),
        console: false,
    }
}

/// What a tool calls itself in a call.
pub(super) fn agent(tool: Tool, call: &Call, system: &str, today: i32, lag: i32) -> String {
    let agent =
        AGENTS.iter().find(|agent| agent.tool == tool).expect("every tool but the console has an agent");
    let (service, name) = names(call);
    fill(agent.text, &mut |gap| match gap {
        "m" => minor(agent.minor, agent.cadence, today, lag).to_string(),
        "system" => system.to_owned(),
        "service" => service.to_owned(),
        _ => format!("{service}.{}", dashed(name)),
    })
}

/// `describe-instances` for `DescribeInstances`.
fn dashed(name: &str) -> String {
    let mut text = String::new();
    for letter in name.chars().take_while(|letter| !letter.is_ascii_digit()) {
        if letter.is_ascii_uppercase() && !text.is_empty() {
            text.push('-');
        }
        text.push(letter.to_ascii_lowercase());
    }
    text
}

/// Service and name of a call.
fn names(call: &Call) -> (&'static str, &'static str) {
    let key = call.key.split('#').next().unwrap_or_default();
    key.split_once(':').unwrap_or((key, ""))
}

/// The region that a call's record lies in.
pub(super) fn region_of(call: &Call, region: usize) -> usize {
    if GLOBAL_SERVICES.contains(&names(call).0) { GLOBAL } else { region }
}

/// The record of a call.
pub(super) fn event(world: &World, estate: &Estate, request: &Request<'_>, dice: &mut Dice) -> Event {
    let Request { at, call, session, ending, .. } = *request;
    let (service, name) = names(call);
    let region = region_of(call, request.region);
    let mut known: Vec<(String, String)> = Vec::new();
    let mut value = |gap: &str| {
        if let Some((_, value)) = known.iter().find(|(name, _)| name == gap) {
            return value.clone();
        }
        let value = own_value(world, request, gap)
            .or_else(|| estate.thing(gap, session.account, region, dice))
            .unwrap_or_default();
        known.push((gap.to_owned(), value.clone()));
        value
    };
    let mut filled = |template: &str| {
        if template.is_empty() { "null".to_owned() } else { fill(template, &mut value) }
    };
    let parameters = filled(call.parameters);
    let answer = if ending == Ending::Done { filled(call.answer) } else { "null".to_owned() };
    let resources = (!call.resources.is_empty()).then(|| filled(call.resources));
    let (id, request_id) = (dice.guid(), dice.guid());
    let failure = failure(service, name, session, ending);
    let data = matches!(call.kind, Kind::ReadData | Kind::WriteData);
    let record = Object::new()
        .text("eventVersion", version(service))
        .json("userIdentity", &session.identity)
        .text("eventTime", &format!("{}Z", world.calendar.seconds(at)))
        .text("eventSource", &format!("{service}.amazonaws.com"))
        .text("eventName", name)
        .text("awsRegion", REGIONS[region].name)
        .text("sourceIPAddress", request.address)
        .text("userAgent", request.agent)
        .text_if("errorCode", failure.as_ref().map(|(code, _)| *code))
        .text_if(
            "errorMessage",
            failure.as_ref().map(|(_, message)| message.as_str()).filter(|m| !m.is_empty()),
        )
        .json("requestParameters", parameters)
        .json("responseElements", answer)
        .json_if("additionalEventData", (service == "s3").then(|| transfer(call, request_id)))
        .text("requestID", &request_id.to_string())
        .text("eventID", &id.to_string())
        .json("readOnly", matches!(call.kind, Kind::Read | Kind::ReadData))
        .json_if("resources", resources)
        .text("eventType", "AwsApiCall")
        .text_if("apiVersion", api_version(service))
        .json("managementEvent", !data)
        .text("recipientAccountId", &estate.accounts[session.account])
        .text("eventCategory", if data { "Data" } else { "Management" })
        .json_if("tlsDetails", request.direct.then(|| tls(service, region)))
        .text_if("sessionCredentialFromConsole", (session.console && !request.direct).then_some("true"));
    finished(at, id, session.account, region, record, dice)
}

/// A record on its way to the bucket.
fn finished(at: Ticks, id: Guid, account: usize, region: usize, record: Object, dice: &mut Dice) -> Event {
    let shelf = account * REGIONS.len() + region;
    // Busy places are delivered every five minutes, the others less often.
    let every = if (account, region) == (PRODUCTION, HOME) { 5 * MINUTE } else { 30 * MINUTE };
    let ready = at + (dice.real(0.2, 5.0) * MINUTE as f64) as Ticks;
    let delivered = (ready.div_euclid(every) + 1) * every;
    Event { at, delivered, id, mark: None, shelf, json: record.end().into_bytes() }
}

/// Gaps that the caller or the time fills.
fn own_value(world: &World, request: &Request<'_>, gap: &str) -> Option<String> {
    let session = request.session;
    let value = match gap {
        "session" if !session.name.is_empty() => session.name.clone(),
        "self" => session.name.clone(),
        "user" if session.arn.contains(":user/") => session.name.clone(),
        "role" if session.arn.is_empty() && !session.role.is_empty() => session.role.clone(),
        "roleid" => identifier("AROA", &session.role),
        "date" => world.calendar.seconds(request.at).split('T').next().unwrap_or_default().to_owned(),
        "iso" => format!("{}Z", world.calendar.seconds(request.at)),
        "expiration" => format!("{}Z", world.calendar.seconds(request.at + 60 * MINUTE)),
        "epoch" => (world.calendar.epoch(request.at) * 1000).to_string(),
        _ => return None,
    };
    Some(value)
}

fn version(service: &str) -> &'static str {
    match service {
        "signin" | "kms" | "sts" => "1.08",
        "logs" | "monitoring" | "health" => "1.09",
        "ec2" | "lambda" => "1.10",
        _ => "1.11",
    }
}

fn api_version(service: &str) -> Option<&'static str> {
    match service {
        "logs" => Some("20140328"),
        "lambda" => Some("2015-03-31"),
        _ => None,
    }
}

fn tls(service: &str, region: usize) -> String {
    let host = match service {
        "iam" | "health" | "organizations" => format!("{service}.amazonaws.com"),
        "signin" => format!("{}.signin.aws.amazon.com", REGIONS[region].name),
        _ => format!("{service}.{}.amazonaws.com", REGIONS[region].name),
    };
    Object::new()
        .text("tlsVersion", "TLSv1.3")
        .text("cipherSuite", "TLS_AES_128_GCM_SHA256")
        .text("clientProvidedHostHeader", &host)
        .end()
}

/// What the object store adds.
fn transfer(call: &Call, request: Guid) -> String {
    let bytes = scatter(request.0 as u64) % 400_000;
    let (sent, received) = match call.kind {
        Kind::WriteData => (bytes, 0),
        Kind::ReadData => (0, bytes),
        _ => (0, bytes % 4000),
    };
    Object::new()
        .text("SignatureVersion", "SigV4")
        .text("CipherSuite", "TLS_AES_128_GCM_SHA256")
        .json("bytesTransferredIn", sent)
        .text("AuthenticationMethod", "AuthHeader")
        .json("bytesTransferredOut", received)
        .end()
}

/// `errorCode` and `errorMessage`, as the services word them.
fn failure(service: &str, name: &str, session: &Session, ending: Ending) -> Option<(&'static str, String)> {
    let action = name.trim_end_matches(|letter: char| letter.is_ascii_digit() || letter == 'v');
    let who = &session.arn;
    let denied = || {
        format!(
            "User: {who} is not authorized to perform: {service}:{action} because no identity-based policy allows the \
             {service}:{action} action"
        )
    };
    let failure = match (ending, service) {
        (Ending::Done, _) => return None,
        (Ending::Denied, "ec2") => (
            "Client.UnauthorizedOperation",
            format!("You are not authorized to perform this operation. {}", denied()),
        ),
        (Ending::Denied, "s3" | "iam" | "sts" | "cloudformation" | "rds" | "monitoring") => {
            ("AccessDenied", denied())
        }
        (Ending::Denied, _) => ("AccessDeniedException", denied()),
        (Ending::Throttled, "ec2") => ("Client.RequestLimitExceeded", "Request limit exceeded.".to_owned()),
        (Ending::Throttled, _) => ("ThrottlingException", "Rate exceeded".to_owned()),
        (Ending::Missing, "ec2") => {
            ("Client.InvalidInstanceID.NotFound", "The instance ID does not exist".to_owned())
        }
        (Ending::Missing, "s3") if name.starts_with("GetBucket") => {
            ("NoSuchBucketPolicy", "The bucket policy does not exist".to_owned())
        }
        (Ending::Missing, "s3") => ("NoSuchKey", "The specified key does not exist.".to_owned()),
        (Ending::Missing, "iam") => {
            ("NoSuchEntityException", "The user or role with that name cannot be found.".to_owned())
        }
        (Ending::Missing, "ssm") => ("ParameterNotFound", String::new()),
        (Ending::Missing, _) => {
            ("ResourceNotFoundException", "The specified resource does not exist.".to_owned())
        }
    };
    Some(failure)
}

/// A sign-in to the web console.
pub(super) struct Login<'a> {
    pub(super) at: Ticks,
    pub(super) session: &'a Session,
    pub(super) address: &'a str,
    pub(super) agent: &'a str,
    /// Whether a second factor was used; `None` where somebody else vouches.
    pub(super) mfa: Option<bool>,
    pub(super) failed: bool,
}

/// The record of a sign-in to the console.
pub(super) fn login(world: &World, estate: &Estate, login: &Login<'_>, dice: &mut Dice) -> Event {
    let Login { at, session, address, agent, mfa, failed } = *login;
    let number = &estate.accounts[session.account];
    let id = dice.guid();
    let identity = if failed {
        // Who tries and fails has no address yet.
        Object::new()
            .text("type", "IAMUser")
            .text("principalId", &identifier("AIDA", &session.arn))
            .text("accountId", number)
            .text("accessKeyId", "")
            .text("userName", &session.name)
            .end()
    } else {
        without_key(&session.identity)
    };
    let home = REGIONS[HOME].name;
    let target = format!(
        "https://{home}.console.aws.amazon.com/console/home?hashArgs=%23&isauthcode=true&region={home}&state=hashArgs%23"
    );
    let used = if mfa == Some(true) { "Yes" } else { "No" };
    let device =
        mfa.filter(|used| *used && !failed).map(|_| format!("arn:aws:iam::{number}:mfa/{}", session.name));
    let extra = Object::new()
        .text("LoginTo", &target)
        .text("MobileVersion", "No")
        .text_if("MFAIdentifier", device.as_deref())
        .text("MFAUsed", used)
        .end();
    let record = Object::new()
        .text("eventVersion", version("signin"))
        .json("userIdentity", identity)
        .text("eventTime", &format!("{}Z", world.calendar.seconds(at)))
        .text("eventSource", "signin.amazonaws.com")
        .text("eventName", "ConsoleLogin")
        .text("awsRegion", home)
        .text("sourceIPAddress", address)
        .text("userAgent", agent)
        .text_if("errorMessage", failed.then_some("Failed authentication"))
        .json("requestParameters", "null")
        .json(
            "responseElements",
            if failed { r#"{"ConsoleLogin":"Failure"}"# } else { r#"{"ConsoleLogin":"Success"}"# },
        )
        .json("additionalEventData", extra)
        .text("eventID", &id.to_string())
        .json("readOnly", false)
        .text("eventType", "AwsConsoleSignIn")
        .json("managementEvent", true)
        .text("recipientAccountId", number)
        .text("eventCategory", "Management")
        .json("tlsDetails", tls("signin", HOME));
    finished(at, id, session.account, HOME, record, dice)
}

/// A sign-in names no access key: there is none yet.
fn without_key(identity: &str) -> String {
    let Some(start) = identity.find(",\"accessKeyId\":\"") else { return identity.to_owned() };
    let end = identity[start + 16..].find('"').map_or(identity.len(), |end| start + 17 + end);
    format!("{}{}", &identity[..start], &identity[end..])
}

/// The same caller, through a service that acts in the caller's name.
pub(super) fn through(session: &Session, service: &str) -> Session {
    let mut text = session.identity.clone();
    text.pop();
    text.push_str(",\"invokedBy\":");
    text.push_str(&quoted(service));
    text.push('}');
    Session { identity: text, ..session.clone() }
}
