//! A day in the mailbox, in the files and in the administration.

use super::super::calendar::{DAY, MINUTE, SECOND, Ticks};
use super::super::company::{Person, Service};
use super::super::day::{Day, minutes};
use super::super::device::{Client, Device, DeviceKind, Program};
use super::super::dice::{Dice, Guid, Kind, Purpose, key, scatter};
use super::super::network::Origin;
use super::super::run::{Event, World};
use super::Exchange;
use super::record::{
    Change, Commander, File, Mail, Seat, application, change, chat, command, file, mail, shared, sign_in,
};
use super::tables::{ADMIN, Command, DEEDS, Deed, FILE_DEEDS, FILES, LIBRARIES, RULES, UPKEEP};

/// Most records of one person and day.
const MOST_RECORDS: usize = 400;
/// Commands that the service gives for a mailbox and day.
const UPKEEP_A_DAY: f64 = 30.0;
/// Records on an ordinary day, for each sign-in that the person is known to have.
const RECORDS_A_VISIT: f64 = 1.3;

/// How a person uses mail and files.
pub(super) struct Profile {
    /// The deeds' weights.
    deeds: Vec<u32>,
    /// Mailboxes beside their own that they look after.
    shared: Vec<String>,
    /// How they read mail: in a browser, in the desktop program, on the phone.
    ways: [u32; 3],
}

/// Whether the person runs the service.
pub(super) fn administers(person: &Person) -> bool {
    person.department.name == "IT Operations" && !scatter(person.id.0 as u64).is_multiple_of(3)
}

impl Profile {
    pub(super) fn new(world: &World, person: &Person) -> Self {
        let dice = &mut Dice::new(world.seed, Purpose::Actor(Kind::Exchange, person.index));
        let helps = matches!(
            person.department.name,
            "Finance" | "Customer Support" | "Operations" | "Human Resources"
        );
        let count = if dice.chance(if helps { 0.4 } else { 0.06 }) { 1 + dice.below(2) } else { 0 };
        let first = dice.below(5);
        let administers = administers(person);
        let weight = |(deed, weight): &(Deed, u32), dice: &mut Dice| match deed {
            Deed::Administer if !administers => 0,
            Deed::Delegate if count == 0 => 0,
            _ => (f64::from(*weight) * dice.real(0.4, 1.7)) as u32,
        };
        Self {
            deeds: DEEDS.iter().map(|deed| weight(deed, dice)).collect(),
            shared: (0..count).map(|place| shared(first + place)).collect(),
            ways: [dice.int(5, 60) as u32, dice.int(10, 80) as u32, dice.int(3, 40) as u32],
        }
    }
}

/// What a device and a place look like to the service.
pub(super) fn seat(
    world: &World,
    person: &Person,
    device: &Device,
    (client, origin): (&Client, &Origin),
    day: i32,
) -> Seat {
    let (browser, _) = client.browser.rsplit_once(' ').unwrap_or((&client.browser, ""));
    let name = match client.used {
        "Browser" if device.kind == DeviceKind::Phone => "Outlook Mobile",
        "Browser" => "One Outlook Web",
        _ if device.kind == DeviceKind::Phone => "Outlook Mobile",
        _ => "Microsoft Office",
    };
    let mail = match (client.used, device.kind) {
        (_, DeviceKind::Phone) => "Client=REST;Client=RESTSystem;;".to_owned(),
        ("Browser", _) => format!("Client=OWA;{};", client.agent),
        _ => "Client=MSExchangeRPC".to_owned(),
    };
    let session = scatter(key(&client.agent) ^ key(&person.upn) ^ day as u64);
    Seat {
        address: origin.address.clone(),
        agent: client.agent.clone(),
        system: client.system.clone(),
        browser: browser.to_owned(),
        managed: client.registration.as_ref().is_some_and(|device| device.managed),
        mail,
        application: application(world, name),
        typed: client.spelling.apply(&person.upn),
        session: Guid::new(session, scatter(session)),
    }
}

/// A person's day.
struct Life<'c, 'o> {
    day: Day<'c>,
    log: &'c Exchange,
    profile: &'c Profile,
    out: &'o mut Vec<Event>,
}

/// What a person does on a local day.
pub(super) fn person_day(log: &Exchange, person: &Person, day: i32, out: &mut Vec<Event>) {
    let Some(lived) = Day::new(&log.world, person, day) else { return };
    let day = lived.with(Purpose::ActorDay(Kind::Exchange, person.index, day));
    let until = out.len() + MOST_RECORDS;
    let mut life = Life { day, log, profile: &log.profiles[person.index], out };
    if life.day.works() {
        life.working_day();
    } else if life.day.dice.chance(0.2) {
        life.glance();
    }
    out.truncate(until);
}

impl Life<'_, '_> {
    fn working_day(&mut self) {
        let volume = self.day.volume(self.day.person.rhythm.volume * RECORDS_A_VISIT);
        let target = self.out.len() + self.day.dice.around(volume);
        let start = self.day.start();
        self.visit(start, None, Some(Deed::SignIn));
        while self.out.len() < target {
            let at = self.day.moment(start);
            self.visit(at, None, None);
        }
    }

    /// Mail on a day off.
    fn glance(&mut self) {
        for _ in 0..=self.day.dice.below(4) {
            let minute = self.day.dice.real(480.0, 1380.0);
            let at = self.day.local(minute);
            self.visit(at, Some(DeviceKind::Phone), Some(Deed::Read));
        }
    }

    fn visit(&mut self, at: Ticks, kind: Option<DeviceKind>, deed: Option<Deed>) {
        let chosen = self.day.dice.weighted(self.profile.deeds.iter().copied());
        let deed = deed.unwrap_or(DEEDS[chosen].0);
        let way = self.day.dice.weighted(self.profile.ways.iter().copied());
        let kind = kind.unwrap_or(if way == 2 && deed != Deed::Administer {
            DeviceKind::Phone
        } else {
            DeviceKind::Laptop
        });
        let device = self.day.device(Some(kind));
        let at = at + self.day.dice.int(0, 59 * SECOND);
        let rich =
            way == 1 && matches!(deed, Deed::SignIn | Deed::Read | Deed::Send | Deed::Tidy | Deed::Edit);
        let program = if rich { Program::Rich } else { Program::Browser(device.browser(&mut self.day.dice)) };
        let client = self.day.client(device, program);
        let origin = self.day.origin(device, at);
        let seat = seat(self.day.world, self.day.person, device, (&client, &origin), self.day.date);
        self.act(at, deed, &seat);
    }

    fn act(&mut self, at: Ticks, deed: Deed, seat: &Seat) {
        let Day { world, person, .. } = self.day;
        let log = self.log;
        let dice = &mut self.day.dice;
        match deed {
            Deed::SignIn => {
                if dice.chance(person.typos * 2.0) {
                    let wrong = Some(("50126", "InvalidUserNameOrPassword"));
                    self.out.push(sign_in(world, person, seat, at - 20 * SECOND, wrong, dice));
                } else if dice.chance(0.04) {
                    let why = dice.pick(&[
                        ("50140", "KeepMeSignedInInterrupt"),
                        ("50074", "UserStrongAuthClientAuthNRequiredInterrupt"),
                        ("50058", "UserInformationNotProvided"),
                    ]);
                    self.out.push(sign_in(world, person, seat, at - 9 * SECOND, Some(why), dice));
                }
                self.out.push(sign_in(world, person, seat, at, None, dice));
            }
            Deed::Read => {
                let items = (dice.heavy(1.4) as usize).clamp(1, 30);
                let read = Mail { at, operation: "MailItemsAccessed", owner: None, items };
                self.out.push(mail(world, person, seat, &read, dice));
            }
            Deed::Send | Deed::Edit | Deed::Tidy => {
                let operation = match deed {
                    Deed::Send => "Send",
                    Deed::Edit => dice.pick(&["Create", "Update", "Update"]),
                    _ => dice.pick(&[
                        "MoveToDeletedItems",
                        "MoveToDeletedItems",
                        "SoftDelete",
                        "Move",
                        "HardDelete",
                    ]),
                };
                let items = 1 + usize::from(dice.chance(0.2)) * dice.below(4);
                self.out.push(mail(world, person, seat, &Mail { at, operation, owner: None, items }, dice));
            }
            Deed::Delegate => {
                let owner = dice.pick(&self.profile.shared.iter().map(String::as_str).collect::<Vec<_>>());
                let operation = dice.pick(&[
                    "MailItemsAccessed",
                    "MailItemsAccessed",
                    "SendAs",
                    "MoveToDeletedItems",
                    "Update",
                ]);
                let items = 1 + dice.below(6);
                self.out.push(mail(
                    world,
                    person,
                    seat,
                    &Mail { at, operation, owner: Some(owner), items },
                    dice,
                ));
            }
            Deed::Files => self.files(at, seat),
            Deed::Chat => self.out.push(chat(world, person, seat, at, dice)),
            Deed::Rule => {
                let rule = some(RULES, dice);
                let other = log.colleague(dice);
                self.out.push(command(world, &Commander::Person(person, seat), rule, (at, other), dice));
            }
            Deed::Consent => {
                let name = dice.pick(&["Miro", "Zoom", "Figma", "DocuSign"]);
                let what = [
                    ("ConsentContext.IsAdminConsent", "False"),
                    ("ConsentAction.Permissions", "Scope: User.Read openid profile"),
                ];
                let consent = Change {
                    at,
                    operation: "Consent to application.",
                    target: ("ServicePrincipal", name),
                    changes: &what,
                };
                self.out.push(change(world, person, seat, &consent, dice));
            }
            Deed::Administer => self.administer(at, seat),
        }
    }

    /// Some files of one place.
    fn files(&mut self, at: Ticks, seat: &Seat) {
        let Day { world, person, .. } = self.day;
        let dice = &mut self.day.dice;
        let own = dice.chance(0.45);
        let site = if own { own_site(person) } else { department_site(person) };
        let folder = if own { "Documents" } else { dice.pick(LIBRARIES) };
        let mut at = at;
        for _ in 0..(dice.heavy(1.0) as usize).clamp(1, 12) {
            let operation = FILE_DEEDS[dice.weighted(FILE_DEEDS.iter().map(|(_, weight)| *weight))].0;
            let name = dice.pick(FILES);
            self.out.push(file(
                world,
                person,
                seat,
                &File { at, operation, site: &site, folder, name },
                dice,
            ));
            at += dice.int(2 * SECOND, 5 * MINUTE);
        }
    }

    fn administer(&mut self, at: Ticks, seat: &Seat) {
        let Day { world, person, .. } = self.day;
        let (log, dice) = (self.log, &mut self.day.dice);
        if dice.chance(0.15) {
            let other = log.colleague(dice);
            let operation = dice.pick(&[
                "Update user.",
                "Add member to group.",
                "Add member to role.",
                "Reset user password.",
            ]);
            let what = [("Included Updated Properties", "Department")];
            let told = Change { at, operation, target: ("User", &other.upn), changes: &what };
            return self.out.push(change(world, person, seat, &told, dice));
        }
        let mut at = at;
        for _ in 0..(dice.heavy(1.0) as usize).clamp(1, 8) {
            let other = log.colleague(dice);
            let given = some(ADMIN, dice);
            self.out.push(command(world, &Commander::Person(person, seat), given, (at, other), dice));
            at += dice.int(3 * SECOND, 3 * MINUTE);
        }
    }
}

/// One of the commands, by weight.
fn some(commands: &'static [Command], dice: &mut Dice) -> &'static Command {
    &commands[dice.weighted(commands.iter().map(|command| command.weight))]
}

/// A person's own place for files.
pub(super) fn own_site(person: &Person) -> String {
    let name = person.upn.replace(['.', '@'], "_");
    format!("https://tarnbridge-my.sharepoint.example/personal/{name}/")
}

/// The department's.
pub(super) fn department_site(person: &Person) -> String {
    format!("https://tarnbridge.sharepoint.example/sites/{}/", person.department.name.replace(' ', ""))
}

/// What the service does for a mailbox on a UTC day, every day: most of it in two bursts.
pub(super) fn upkeep_day(log: &Exchange, person: &Person, day: i32, out: &mut Vec<Event>) {
    if !person.employed(day) {
        return;
    }
    let dice = &mut Dice::new(log.world.seed, Purpose::ActorDay(Kind::Exchange, 1 << 22 | person.index, day));
    let bursts = [dice.real(0.0, 1380.0), 127.0];
    let mean = UPKEEP_A_DAY * dice.real(0.6, 1.4);
    for _ in 0..dice.around(mean) {
        let minute =
            if dice.chance(0.8) { dice.pick(&bursts) + dice.real(0.0, 20.0) } else { dice.real(0.0, 1440.0) };
        let at = Ticks::from(day) * DAY + minutes(minute);
        let given = some(UPKEEP, dice);
        out.push(command(&log.world, &Commander::Service(person), given, (at, person), dice));
    }
}

/// What an application with rights of its own does on a UTC day: it reads.
pub(super) fn service_day(log: &Exchange, service: &Service, day: i32, out: &mut Vec<Event>) {
    let dice =
        &mut Dice::new(log.world.seed, Purpose::ActorDay(Kind::Exchange, 1 << 23 | service.index, day));
    let person = log.colleague(dice);
    let client = service.device.client(Program::Rich, day, log.world.calendar.epoch_day(day));
    let address = format!("198.18.200.{}", service.index % 200 + 1);
    let origin = Origin { address, city: None, ..super::super::network::office(service.office, dice) };
    let mut seat = seat(&log.world, person, &service.device, (&client, &origin), day);
    seat.typed.clone_from(&service.upn);
    "Client=REST;Client=RESTSystem;;".clone_into(&mut seat.mail);
    seat.application = log.world.company.identifier(service.clockwork.name).to_string();
    let period = 2 * service.clockwork.period * MINUTE;
    let mut at = Ticks::from(day) * DAY + service.index as Ticks * 7 * MINUTE % period;
    while at < Ticks::from(day + 1) * DAY {
        let owner = shared(service.index);
        let items = 1 + dice.below(10);
        let read = Mail { at, operation: "MailItemsAccessed", owner: Some(&owner), items };
        out.push(mail(&log.world, person, &seat, &read, dice));
        at += period + minutes(dice.real(0.0, service.clockwork.jitter));
    }
}
