//! The wire format of the unified audit log: records of the Management Activity API, one JSON object a line.

use super::super::calendar::{HOUR, MINUTE, Ticks};
use super::super::company::Person;
use super::super::dice::{Dice, Guid, HEX, key, scatter, token};
use super::super::json::{Object, fill, quoted};
use super::super::run::{Event, World};
use super::super::tables::{APPS, app};
use super::tables::{Command, FOLDERS, SHARED, SUBJECTS};

const BASE64: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const ORGANIZATION: &str = "tarnbridge.onmicrosoft.example";
const DOMAIN: &str = "tarnbridge.example";
const EXCHANGE: &str = "00000002-0000-0ff1-ce00-000000000000";

/// How somebody reaches the service.
#[derive(Clone)]
pub(super) struct Seat {
    pub(super) address: String,
    pub(super) agent: String,
    /// As in `DeviceProperties`.
    pub(super) system: String,
    pub(super) browser: String,
    pub(super) managed: bool,
    /// What the mail program says of itself.
    pub(super) mail: String,
    /// The application that is used, or abused.
    pub(super) application: String,
    /// The name as it was typed.
    pub(super) typed: String,
    /// One for a person, a device and a day.
    pub(super) session: Guid,
}

/// The four words that a mailbox is known by.
struct Mailbox {
    guid: String,
    sid: String,
    upn: String,
}

/// What every record begins with.
struct Head<'a> {
    at: Ticks,
    operation: &'a str,
    kind: u32,
    status: Option<&'a str>,
    user_key: &'a str,
    user_type: u32,
    workload: &'a str,
    address: Option<&'a str>,
    object: Option<&'a str>,
    user: &'a str,
}

impl Head<'_> {
    fn write(&self, world: &World, id: Guid) -> Object {
        Object::new()
            .text("CreationTime", &world.calendar.seconds(self.at))
            .text("Id", &id.to_string())
            .text("Operation", self.operation)
            .text("OrganizationId", &world.company.tenant.to_string())
            .json("RecordType", self.kind)
            .text_if("ResultStatus", self.status)
            .text("UserKey", self.user_key)
            .json("UserType", self.user_type)
            .json("Version", 1)
            .text("Workload", self.workload)
            .text_if("ClientIP", self.address)
            .text_if("ObjectId", self.object)
            .text("UserId", self.user)
    }
}

/// A record that comes out some minutes later, seldom hours.
fn finished(at: Ticks, id: Guid, record: Object, dice: &mut Dice) -> Event {
    let delay = if dice.chance(0.02) { dice.int(HOUR, 5 * HOUR) } else { dice.int(5 * MINUTE, 40 * MINUTE) };
    Event { at, delivered: at + delay, id, mark: None, shelf: 0, json: record.end().into_bytes() }
}

/// `[{"Name":…,"Value":…}]`
fn pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let pair = |(name, value)| Object::new().text("Name", name).text("Value", value).end();
    format!("[{}]", pairs.into_iter().map(pair).collect::<Vec<_>>().join(","))
}

/// `ModifiedProperties` of the directory.
fn changes(changes: &[(&str, &str)]) -> String {
    let change = |(name, value): &(&str, &str)| {
        Object::new().text("Name", name).text("NewValue", value).text("OldValue", "").end()
    };
    format!("[{}]", changes.iter().map(change).collect::<Vec<_>>().join(","))
}

/// `[{"ID":…,"Type":…}]`
fn actors(actors: &[(&str, u32)]) -> String {
    let actor = |(id, kind): &(&str, u32)| Object::new().text("ID", id).json("Type", kind).end();
    format!("[{}]", actors.iter().map(actor).collect::<Vec<_>>().join(","))
}

/// `10032001266C162C`, as Exchange knows a person.
fn user_key(person: &Person) -> String {
    format!("10032001{:08X}", scatter(person.id.0 as u64) as u32)
}

fn mailbox(world: &World, upn: &str) -> Mailbox {
    let domain = scatter(world.company.tenant.0 as u64);
    let [a, b, c] = [domain >> 40, domain >> 20 & 0xff_ffff, domain & 0xff_ffff];
    Mailbox {
        guid: world.company.identifier(upn).to_string(),
        sid: format!("S-1-5-21-{a}-{b}-{c}-{}", 25_000_000 + key(upn) % 1_000_000),
        upn: upn.to_owned(),
    }
}

/// A mailbox of [`SHARED`].
pub(super) fn shared(place: usize) -> String {
    format!("{}@{DOMAIN}", SHARED[place % SHARED.len()])
}

fn server(dice: &mut Dice) -> String {
    let number = dice.below(9);
    format!(
        "AM{number}PR0{}MB{} (15.20.9{}.0{})",
        dice.below(9),
        4000 + dice.below(40) * 7,
        100 + dice.below(9),
        10 + dice.below(9)
    )
}

/// A sign-in; `error` is the number and name of what went wrong.
pub(super) fn sign_in(
    world: &World,
    person: &Person,
    seat: &Seat,
    at: Ticks,
    error: Option<(&str, &str)>,
    dice: &mut Dice,
) -> Event {
    let id = dice.guid();
    let user_id = person.id.to_string();
    let tenant = world.company.tenant.to_string();
    let operation = if error.is_some() { "UserLoginFailed" } else { "UserLoggedIn" };
    let head = Head {
        at,
        operation,
        kind: 15,
        status: Some(if error.is_some() && dice.chance(0.7) { "Failed" } else { "Success" }),
        user_key: &user_id,
        user_type: 0,
        workload: "AzureActiveDirectory",
        address: Some(&seat.address),
        object: Some(EXCHANGE),
        user: &seat.typed,
    };
    let request = if error.is_some() {
        "Login:login"
    } else {
        dice.pick(&["OAuth2:Authorize", "OAuth2:Token", "Login:login"])
    };
    let session = seat.session.to_string();
    let device = pairs([
        ("OS", seat.system.as_str()),
        ("BrowserType", &seat.browser),
        ("IsCompliantAndManaged", if seat.managed { "True" } else { "False" }),
        ("SessionId", &session),
    ]);
    let extended =
        [("ResultStatusDetail", "Success"), ("UserAgent", seat.agent.as_str()), ("RequestType", request)];
    let record = head
        .write(world, id)
        .json("AzureActiveDirectoryEventType", 1)
        .json("ExtendedProperties", pairs(extended))
        .json("ModifiedProperties", "[]")
        .json("Actor", actors(&[(&user_id, 0), (&person.upn, 5)]))
        .text("ActorContextId", &tenant)
        .text("ActorIpAddress", &seat.address)
        .text("InterSystemsId", &dice.guid().to_string())
        .text("IntraSystemId", &id.to_string())
        .text("SupportTicketId", "")
        .json("Target", actors(&[(EXCHANGE, 0)]))
        .text("TargetContextId", &tenant)
        .text("ApplicationId", &seat.application)
        .json_if("DeviceProperties", (!dice.chance(0.25)).then_some(device))
        .text("ErrorNumber", error.map_or("0", |(number, _)| number))
        .text_if("LogonError", error.map(|(_, name)| name));
    finished(at, id, record, dice)
}

/// What a mailbox record is about.
pub(super) struct Mail<'a> {
    pub(super) at: Ticks,
    pub(super) operation: &'a str,
    /// Whose mailbox; the person's own if absent.
    pub(super) owner: Option<&'a str>,
    /// How many items.
    pub(super) items: usize,
}

/// A record of a mailbox: one item, several, or a reading of many.
pub(super) fn mail(world: &World, person: &Person, seat: &Seat, mail: &Mail<'_>, dice: &mut Dice) -> Event {
    let Mail { at, operation, owner, items } = *mail;
    let kind = match operation {
        "MailItemsAccessed" => 50,
        "SoftDelete" | "HardDelete" | "MoveToDeletedItems" | "Move" => 3,
        _ => 2,
    };
    let (own, id) = (mailbox(world, &person.upn), dice.guid());
    let target = owner.map_or_else(|| mailbox(world, &person.upn), |owner| mailbox(world, owner));
    let logon = if owner.is_some() { 2 } else { 0 };
    let key = user_key(person);
    let head = Head {
        at,
        operation,
        kind,
        status: Some("Succeeded"),
        user_key: &key,
        user_type: 0,
        workload: "Exchange",
        address: Some(&seat.address).filter(|_| kind != 50).map(String::as_str),
        object: None,
        user: &seat.typed,
    };
    let desktop = seat.mail.starts_with("Client=MSExchangeRPC");
    let record = head
        .write(world, id)
        .text_if("AppId", (!desktop).then_some(seat.application.as_str()))
        .text("ClientIPAddress", &seat.address)
        .text("ClientInfoString", &seat.mail)
        .text_if("ClientProcessName", desktop.then_some("OUTLOOK.EXE"))
        .text_if("ClientVersion", desktop.then_some("16.0.19426.20170"))
        .json("ExternalAccess", false)
        .json("InternalLogonType", 0)
        .json("LogonType", logon)
        .text("LogonUserSid", &own.sid)
        .text("MailboxGuid", &target.guid)
        .text("MailboxOwnerSid", &target.sid)
        .text("MailboxOwnerUPN", &target.upn)
        .json_if("OperationProperties", (kind == 50).then(|| access_properties(desktop)))
        .text("OrganizationName", ORGANIZATION)
        .text("OriginatingServer", &format!("{}\r\n", server(dice)))
        .text_if("SessionId", (kind != 50).then(|| seat.session.to_string()).as_deref());
    finished(at, id, contents(record, kind, operation, items, dice), dice)
}

fn access_properties(desktop: bool) -> String {
    pairs([("MailAccessType", if desktop { "Sync" } else { "Bind" }), ("IsThrottled", "False")])
}

/// The items that a mailbox record tells of.
fn contents(record: Object, kind: u32, operation: &str, items: usize, dice: &mut Dice) -> Object {
    match kind {
        50 => {
            let folder = folder(dice.pick(&FOLDERS[..=items.min(FOLDERS.len() - 1)]), dice);
            let items: Vec<String> =
                (0..items).map(|_| Object::new().text("InternetMessageId", &message(dice)).end()).collect();
            let read = Object::new()
                .json("FolderItems", format!("[{}]", items.join(",")))
                .text("Id", &folder.0)
                .text("Path", folder.1);
            record.json("Folders", format!("[{}]", read.end())).json("OperationCount", items.len())
        }
        3 => {
            let from = folder(dice.pick(FOLDERS), dice);
            let items: Vec<String> = (0..items).map(|_| item(from.1, dice)).collect();
            let to = folder(if operation == "Move" { "\\Archive" } else { "\\Deleted Items" }, dice);
            let show = |(id, path): &(String, &str)| Object::new().text("Id", id).text("Path", path).end();
            record
                .json("AffectedItems", format!("[{}]", items.join(",")))
                .json("CrossMailboxOperation", false)
                .json_if("DestFolder", (!operation.ends_with("Delete")).then(|| show(&to)))
                .json("Folder", show(&from))
        }
        _ => {
            let path = if operation.starts_with("Send") { "\\Drafts" } else { dice.pick(FOLDERS) };
            let changed = (operation == "Update")
                .then(|| dice.pick(&["[\"RecipientCollection\"]", "[\"Subject\",\"Body\"]"]));
            record.json("Item", item(path, dice)).json_if("ModifiedProperties", changed)
        }
    }
}

fn folder<'p>(path: &'p str, dice: &mut Dice) -> (String, &'p str) {
    (format!("LgAAAA{}", token(BASE64, 58, dice.bits())), path)
}

fn message(dice: &mut Dice) -> String {
    format!(
        "<AM0PR04MB{}@AM0PR04MB4196.eurprd04.prod.outlook.com>",
        token(HEX, 28, dice.bits()).to_uppercase()
    )
}

fn item(path: &str, dice: &mut Dice) -> String {
    let attachments =
        dice.chance(0.25).then(|| format!("image00{}.png ({}b)", dice.below(9), 900 + dice.below(40_000)));
    let (parent, path) = folder(path, dice);
    Object::new()
        .text_if("Attachments", attachments.as_deref())
        .text("Id", &format!("RgAAAA{}", token(BASE64, 88, dice.bits())))
        .text("InternetMessageId", &message(dice))
        .json("IsRecord", false)
        .json("ParentFolder", Object::new().text("Id", &parent).text("Path", path).end())
        .text("Subject", dice.pick(SUBJECTS))
        .end()
}

/// Who gives a command.
pub(super) enum Commander<'a> {
    Person(&'a Person, &'a Seat),
    /// The service, looking after somebody's mailbox.
    Service(&'a Person),
}

/// A command of the administration, with `other` as the second person in it.
pub(super) fn command(
    world: &World,
    commander: &Commander<'_>,
    command: &Command,
    (at, other): (Ticks, &Person),
    dice: &mut Dice,
) -> Event {
    const SYSTEM: &[&str] = &[
        "NT AUTHORITY\\SYSTEM (Microsoft.Exchange.ServiceHost)",
        "NT AUTHORITY\\SYSTEM (Microsoft.Exchange.ServiceHost)",
        "NT AUTHORITY\\SYSTEM (Microsoft.Exchange.Servicehost)",
    ];
    let id = dice.guid();
    let person = match commander {
        Commander::Person(person, _) | Commander::Service(person) => *person,
    };
    let local = |person: &Person| person.upn.split('@').next().unwrap_or_default().to_owned();
    let number = (1000 + dice.below(9000)).to_string();
    let common = dice.pick(SHARED);
    let forest =
        format!("EURPR04A009.PROD.OUTLOOK.COM/Microsoft Exchange Hosted Organizations/{ORGANIZATION}");
    let mut value = |gap: &str| match gap {
        "user" => local(person),
        "other" => local(other),
        "shared" => common.to_owned(),
        "number" => number.clone(),
        "domain" => DOMAIN.to_owned(),
        "organization" => ORGANIZATION.to_owned(),
        _ => forest.clone(),
    };
    let object = fill(command.object, &mut value);
    let parameters: Vec<(&str, String)> =
        command.parameters.iter().map(|(name, text)| (*name, fill(text, &mut value))).collect();
    let parameters = pairs(parameters.iter().map(|(name, text)| (*name, text.as_str())));
    let system = dice.pick(SYSTEM);
    let key = user_key(person);
    let (address, user, user_key, user_type) = match commander {
        Commander::Person(_, seat) => {
            (Some(with_port(&seat.address, dice)), seat.typed.as_str(), key.as_str(), 2)
        }
        Commander::Service(_) => (None, system, system, 3),
    };
    let head = Head {
        at,
        operation: command.name,
        kind: 1,
        status: Some("True"),
        user_key,
        user_type,
        workload: "Exchange",
        address: address.as_deref(),
        object: Some(&object),
        user,
    };
    let manual = matches!(commander, Commander::Person(..));
    let session = match commander {
        Commander::Person(_, seat) => seat.session.to_string(),
        Commander::Service(_) => String::new(),
    };
    let record = head
        .write(world, id)
        .text("AppId", if manual { EXCHANGE } else { "" })
        .text("ClientAppId", "")
        .json("ExternalAccess", !manual)
        .text("OrganizationName", ORGANIZATION)
        .text("OriginatingServer", &server(dice))
        .json("Parameters", parameters)
        .text_if("SessionId", manual.then_some(session.as_str()));
    finished(at, id, record, dice)
}

/// Addresses of the administration come with a port.
fn with_port(address: &str, dice: &mut Dice) -> String {
    let port = 1024 + dice.below(60_000);
    if address.contains(':') { format!("[{address}]:{port}") } else { format!("{address}:{port}") }
}

/// What is done to a file.
pub(super) struct File<'a> {
    pub(super) at: Ticks,
    pub(super) operation: &'a str,
    /// The address of the site; `OneDrive` if it is a person's own.
    pub(super) site: &'a str,
    pub(super) folder: &'a str,
    pub(super) name: &'a str,
}

/// A record of `SharePoint` or `OneDrive`.
pub(super) fn file(world: &World, person: &Person, seat: &Seat, file: &File<'_>, dice: &mut Dice) -> Event {
    let File { at, operation, site, folder, name } = *file;
    let id = dice.guid();
    let membership = format!("i:0h.f|membership|{}@live.com", user_key(person).to_lowercase());
    let object = format!("{site}{folder}/{name}");
    let head = Head {
        at,
        operation,
        kind: if operation == "SharingSet" { 14 } else { 6 },
        status: None,
        user_key: &membership,
        user_type: 0,
        workload: if site.contains("-my.") { "OneDrive" } else { "SharePoint" },
        address: Some(&seat.address),
        object: Some(&object),
        user: &seat.typed,
    };
    let sync = operation.starts_with("FileSync");
    let agent = if sync {
        "Microsoft SkyDriveSync 25.238.1207.0001 ship; Windows NT 10.0 (26100)"
    } else {
        &seat.agent
    };
    let guid = |text: &str| world.company.identifier(text).to_string();
    let record = head
        .write(world, id)
        .text("CorrelationId", &dice.guid().to_string())
        .text("EventSource", "SharePoint")
        .text("ItemType", "File")
        .text("ListId", &guid(&format!("{site}{folder}")))
        .text("ListItemUniqueId", &guid(&object))
        .text("Site", &guid(site))
        .text("UserAgent", agent)
        .text("WebId", &guid(&format!("{site} web")))
        .json("HighPriorityMediaProcessing", false)
        .text("SourceFileExtension", name.rsplit('.').next().unwrap_or_default())
        .text("SiteUrl", site)
        .text("SourceFileName", name)
        .text("SourceRelativeUrl", folder);
    finished(at, id, record, dice)
}

/// A message in Teams.
pub(super) fn chat(world: &World, person: &Person, seat: &Seat, at: Ticks, dice: &mut Dice) -> Event {
    let id = dice.guid();
    let user_key = person.id.to_string();
    let head = Head {
        at,
        operation: dice.pick(&[
            "MessageSent",
            "MessageSent",
            "TeamsSessionStarted",
            "MeetingParticipantDetail",
            "ReactedToMessage",
        ]),
        kind: 25,
        status: None,
        user_key: &user_key,
        user_type: 0,
        workload: "MicrosoftTeams",
        address: Some(&seat.address),
        object: None,
        user: &seat.typed,
    };
    let record = head
        .write(world, id)
        .text("CommunicationType", dice.pick(&["GroupChat", "OneOnOne", "Channel"]))
        .text(
            "ChatThreadId",
            &format!("19:{}@thread.v2", token(HEX, 32, dice.below(9) as u64 ^ scatter(person.index as u64))),
        )
        .json("ExtraProperties", pairs([("OsName", seat.system.as_str())]).replace("\"Name\"", "\"Key\""));
    finished(at, id, record, dice)
}

/// A change in the directory, told in its own way.
pub(super) struct Change<'a> {
    pub(super) at: Ticks,
    pub(super) operation: &'a str,
    /// What is changed: the kind and the name of it.
    pub(super) target: (&'a str, &'a str),
    pub(super) changes: &'a [(&'a str, &'a str)],
}

/// A record of the directory.
pub(super) fn change(
    world: &World,
    person: &Person,
    seat: &Seat,
    change: &Change<'_>,
    dice: &mut Dice,
) -> Event {
    let Change { at, operation, target: (kind, name), changes: what } = *change;
    let id = dice.guid();
    let target = world.company.identifier(name).to_string();
    let key = user_key(person);
    let tenant = world.company.tenant.to_string();
    let (user_key, user, user_id) =
        (format!("{key}@{ORGANIZATION}"), format!("User_{}", person.id), person.id.to_string());
    let head = Head {
        at,
        operation,
        kind: 8,
        status: Some("Success"),
        user_key: &user_key,
        user_type: 0,
        workload: "AzureActiveDirectory",
        address: Some(&seat.address),
        object: Some(&target),
        user: &seat.typed,
    };
    let details = format!("{{\"User-Agent\":{}}}", quoted(&seat.agent));
    let marked = format!("{kind}_{target}");
    let record = head
        .write(world, id)
        .json("AzureActiveDirectoryEventType", 1)
        .json(
            "ExtendedProperties",
            pairs([("additionalDetails", details.as_str()), ("extendedAuditEventCategory", kind)]),
        )
        .json("ModifiedProperties", changes(what))
        .json("Actor", actors(&[(&person.upn, 5), (&key, 3), (&user, 2), (&user_id, 2), ("User", 2)]))
        .text("ActorContextId", &tenant)
        .text("ActorIpAddress", &seat.address)
        .text("InterSystemsId", &dice.guid().to_string())
        .text("IntraSystemId", &dice.guid().to_string())
        .text("SupportTicketId", "")
        .json("Target", actors(&[(&marked, 2), (&target, 2), (kind, 2), (name, 1)]))
        .text("TargetContextId", &tenant);
    finished(at, id, record, dice)
}

/// The identifier of an app of the catalogue.
pub(super) fn application(world: &World, name: &str) -> String {
    let known = APPS[app(name)].id;
    known.map_or_else(|| world.company.identifier(name).to_string(), str::to_owned)
}
