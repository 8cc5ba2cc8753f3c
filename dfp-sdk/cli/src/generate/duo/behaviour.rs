//! A day of proving who one is.

use super::super::calendar::{DAY, MINUTE, SECOND, Ticks, day_of};
use super::super::company::{Person, Service};
use super::super::day::{Day, Whereabouts, minutes};
use super::super::device::{ALWAYS, Client, Device, DeviceKind, Program};
use super::super::dice::{Dice, Kind, Purpose, scatter};
use super::super::network::{self, Origin};
use super::super::run::{Event, World};
use super::Duo;
use super::record::{Account, Approver, Asker, Authentication, event};
use super::tables::{
    APPROVED, BYPASSED, CANCELLED, ENROLLED, Ending, FACTORS, FRAUD, INTEGRATIONS, Integration, MISTAKE,
    NO_KEYS, NO_PERMISSION, NO_RESPONSE, PASSCODE, REMEMBERED, Reach, UNTRUSTED, WRONG_PASSCODE,
};

/// Chance that a person tries an application that is not theirs.
const WANDERS: f64 = 0.006;

/// How a person uses Duo.
pub(super) struct Profile {
    /// The part of the address before the at sign.
    pub(super) short: String,
    /// Whether applications know the person by the whole address.
    long: bool,
    pub(super) groups: Vec<String>,
    /// Place in [`INTEGRATIONS`], weight, first and last day.
    pub(super) habits: Vec<(usize, u32, i32, i32)>,
    pub(super) factor: &'static str,
    second_factor: &'static str,
    /// What the phones are called, with their days.
    phones: Vec<(String, i32, i32)>,
    /// Whether browsers are remembered.
    remembers: bool,
    /// Never asked.
    bypass: bool,
    /// Chance that the phone is out of reach.
    absent_minded: f64,
    volume: f64,
}

impl Profile {
    pub(super) fn new(world: &World, person: &Person) -> Self {
        let dice = &mut Dice::new(world.seed, Purpose::Actor(Kind::Duo, person.index));
        let given = person.display.split(' ').next().unwrap_or_default();
        let number = format!("+{} 555 01{:02}", dice.pick(&["44", "1", "33", "91"]), dice.below(100));
        let label = dice.pick(&["'s phone", "'s iPhone", " mobile", ""]);
        let own: Vec<&Device> =
            person.devices.iter().filter(|device| device.kind == DeviceKind::Phone).collect();
        let spans: Vec<(i32, i32)> = own.iter().map(|device| (device.since, device.until)).collect();
        let name = |place: usize| match (label, place) {
            ("", 0) => number.clone(),
            (_, 0) => format!("{given}{label} ({number})"),
            _ => format!("{given}{label} {}", place + 1),
        };
        let spans = if spans.is_empty() { vec![ALWAYS] } else { spans };
        let factor = || FACTORS.iter().map(|(_, weight)| *weight);
        Self {
            short: person.upn.split('@').next().unwrap_or_default().to_owned(),
            long: dice.chance(0.4),
            groups: vec!["Duo Users".to_owned(), person.department.name.to_owned()],
            habits: habits(world, person, dice),
            factor: FACTORS[dice.weighted(factor())].0,
            second_factor: dice.pick(&["duo_mobile_passcode", "sms_passcode", "phone_call"]),
            phones: spans.iter().enumerate().map(|(place, (from, to))| (name(place), *from, *to)).collect(),
            remembers: dice.chance(0.6),
            bypass: dice.chance(0.03),
            absent_minded: dice.real(0.002, 0.03),
            volume: dice.heavy(2.6).min(14.0),
        }
    }

    /// The name that an application knows the person by.
    pub(super) fn name<'a>(&'a self, person: &'a Person, integration: Option<&Integration>) -> &'a str {
        let cloud = integration.is_some_and(|integration| integration.reach == Reach::Web);
        if self.long && cloud { &person.upn } else { &self.short }
    }

    /// What the phone of a day is called.
    pub(super) fn phone(&self, day: i32) -> &str {
        let current = self.phones.iter().rev().find(|(_, since, until)| (*since..=*until).contains(&day));
        &current.unwrap_or(&self.phones[0]).0
    }
}

fn habits(world: &World, person: &Person, dice: &mut Dice) -> Vec<(usize, u32, i32, i32)> {
    let mut habits = Vec::new();
    for (place, integration) in INTEGRATIONS.iter().enumerate() {
        let departments = integration.departments;
        let own = departments.is_empty() || departments.contains(&person.department.name);
        let weight = (f64::from(integration.weight) * dice.real(0.3, 1.9)).max(1.0) as u32;
        let since = dice.days(-10, world.days);
        if own && dice.chance(integration.share) {
            habits.push((place, weight, i32::MIN, i32::MAX));
        } else if dice.chance(if own { 0.25 } else { 0.04 }) {
            habits.push((place, weight / 2 + 1, since, since + dice.days(8, 60)));
        }
    }
    habits
}

/// A person's day.
struct Life<'c, 'o> {
    day: Day<'c>,
    profile: &'c Profile,
    /// Applications that remember the browser since this day.
    remembered: Vec<usize>,
    out: &'o mut Vec<Event>,
}

/// What a person does on a local day.
pub(super) fn person_day(log: &Duo, person: &Person, day: i32, out: &mut Vec<Event>) {
    let Some(lived) = Day::new(&log.world, person, day) else { return };
    let day = lived.with(Purpose::ActorDay(Kind::Duo, person.index, day));
    let mut life = Life { day, profile: &log.profiles[person.index], remembered: Vec::new(), out };
    life.enrol();
    if life.day.works() {
        life.working_day();
    } else if life.day.dice.chance(0.09) {
        let minute = life.day.dice.real(480.0, 1380.0);
        let at = life.day.local(minute);
        life.authenticate(at, Some(DeviceKind::Phone));
    }
}

impl Life<'_, '_> {
    fn working_day(&mut self) {
        let volume = self.day.volume(self.profile.volume);
        let count = self.day.dice.around(volume);
        let start = self.day.start();
        let away = !matches!(self.day.whereabouts, Whereabouts::Office);
        if away && self.day.dice.chance(self.day.person.vpn) {
            self.use_application(start, 1, Some(DeviceKind::Laptop));
        }
        for number in 0..count {
            let at = if number == 0 { start } else { self.day.moment(start) };
            self.authenticate(at, None);
        }
    }

    fn authenticate(&mut self, at: Ticks, kind: Option<DeviceKind>) {
        if self.day.dice.chance(WANDERS) {
            return self.wander(at);
        }
        let day = self.day.date;
        let habits =
            self.profile.habits.iter().filter(|(_, _, since, until)| (*since..=*until).contains(&day));
        let chosen = self.day.dice.weighted(habits.clone().map(|(_, weight, ..)| *weight));
        if let Some((place, ..)) = habits.clone().nth(chosen) {
            self.use_application(at, *place, kind);
        }
    }

    /// A look at an application that is not for the person, or not yet.
    fn wander(&mut self, at: Ticks) {
        let place = self.day.dice.below(INTEGRATIONS.len());
        if self.day.dice.chance(0.4) {
            return self.use_application(at, place, None);
        }
        let laptop = self.day.owned(DeviceKind::Laptop);
        let (client, origin) = self.setting(laptop, at, true);
        let asker = Asker { kind: laptop.kind, client: &client, origin: &origin };
        self.add(at, Some(&INTEGRATIONS[place]), Some(asker), None, "not_available", NO_PERMISSION);
    }

    /// A new phone is made known on its first day of use.
    fn enrol(&mut self) {
        let day = self.day.date;
        let new = self.profile.phones.iter().skip(1).any(|(_, since, _)| *since == day);
        let newcomer = self.day.person.joined == day;
        if !new && !newcomer {
            return;
        }
        let at = self.day.start() + minutes(12.0);
        let laptop = self.day.owned(DeviceKind::Laptop);
        let (client, origin) = self.setting(laptop, at, true);
        let asker = Asker { kind: laptop.kind, client: &client, origin: &origin };
        self.add(at, None, Some(asker), None, "not_available", ENROLLED);
    }

    fn setting(&mut self, device: &Device, at: Ticks, browser: bool) -> (Client, Origin) {
        let program =
            if browser { Program::Browser(device.browser(&mut self.day.dice)) } else { Program::Rich };
        (self.day.client(device, program), self.day.origin(device, at))
    }

    fn use_application(&mut self, at: Ticks, place: usize, kind: Option<DeviceKind>) {
        let integration = &INTEGRATIONS[place];
        let kind = if integration.reach == Reach::Web { kind } else { Some(DeviceKind::Laptop) };
        let device = self.day.device(kind);
        let at = at + self.day.dice.int(0, 59 * SECOND);
        let (client, origin) = self.setting(device, at, integration.reach == Reach::Web);
        let asker = || Some(Asker { kind: device.kind, client: &client, origin: &origin });
        if integration.strict && client.registration.is_none() && self.day.dice.chance(0.5) {
            return self.add(at, Some(integration), asker(), None, "not_available", UNTRUSTED);
        }
        if self.profile.bypass {
            return self.add(at, Some(integration), asker(), None, "not_available", BYPASSED);
        }
        let web = integration.reach == Reach::Web;
        if web && self.profile.remembers && self.remembered.contains(&place) && self.day.dice.chance(0.85) {
            return self.add(at, Some(integration), asker(), None, "remembered_device", REMEMBERED);
        }
        let first = self.day.dice.chance(0.9);
        let factor = if first { self.profile.factor } else { self.profile.second_factor };
        let mut at = at;
        for ending in failures(factor, self.profile.absent_minded, &mut self.day.dice) {
            let phone = self.phone_origin(at);
            self.add(at, Some(integration), asker(), Some(&phone), factor, ending);
            at += self.day.dice.int(15 * SECOND, 100 * SECOND);
        }
        let ending =
            if factor.ends_with("passcode") || factor.ends_with("token") { PASSCODE } else { APPROVED };
        let phone = self.phone_origin(at);
        self.add(at, Some(integration), asker(), Some(&phone), factor, ending);
        self.remembered.push(place);
    }

    /// The network that the phone is on: near its owner.
    fn phone_origin(&mut self, at: Ticks) -> Origin {
        let phone = self.day.owned(DeviceKind::Phone);
        self.day.origin(phone, at)
    }

    fn add(
        &mut self,
        at: Ticks,
        integration: Option<&Integration>,
        asker: Option<Asker<'_>>,
        phone: Option<&Origin>,
        factor: &str,
        ending: Ending,
    ) {
        let (person, profile) = (self.day.person, self.profile);
        let name = profile.phone(self.day.date);
        let approver = phone.map(|origin| Approver { name, origin });
        let authentication = Authentication {
            at,
            account: account(person, profile, integration),
            integration,
            asker,
            approver,
            factor,
            ending,
            enrolment: ending == ENROLLED,
        };
        self.out.push(event(self.day.world, &authentication, &mut self.day.dice));
    }
}

pub(super) fn account<'a>(
    person: &'a Person,
    profile: &'a Profile,
    integration: Option<&Integration>,
) -> Account<'a> {
    Account {
        name: profile.name(person, integration),
        email: &person.upn,
        groups: &profile.groups,
        identity: scatter(person.id.0 as u64),
    }
}

/// What goes wrong before it goes right: the phone lies elsewhere, the wrong button, a stale code.
fn failures(factor: &str, absent_minded: f64, dice: &mut Dice) -> Vec<Ending> {
    let pushed = matches!(factor, "duo_push" | "phone_call");
    if pushed && dice.chance(absent_minded) {
        let unanswered = if factor == "phone_call" { NO_KEYS } else { NO_RESPONSE };
        return vec![unanswered; (dice.heavy(1.0) as usize).clamp(1, 6)];
    }
    match dice.unit() {
        roll if pushed && roll < 0.008 => vec![CANCELLED],
        roll if pushed && roll < 0.011 => vec![MISTAKE],
        roll if pushed && roll < 0.0115 => vec![FRAUD],
        roll if !pushed && roll < 0.04 => vec![WRONG_PASSCODE; 1 + dice.below(2)],
        _ => Vec::new(),
    }
}

/// What a service account does on a UTC day: it may pass without a second factor.
pub(super) fn service_day(log: &Duo, service: &Service, day: i32, out: &mut Vec<Event>) {
    let dice = &mut Dice::new(log.world.seed, Purpose::ActorDay(Kind::Duo, 1 << 23 | service.index, day));
    let period = 3 * service.clockwork.period * MINUTE;
    let mut at = Ticks::from(day) * DAY + service.index as Ticks * 7 * MINUTE % period;
    let gateway = &INTEGRATIONS[1];
    let address = format!("198.18.200.{}", service.index % 200 + 1);
    let origin = Origin { city: None, address, ..network::office(service.office, dice) };
    while day_of(at) == day {
        let client = service.device.client(Program::Rich, day, log.world.calendar.epoch_day(day));
        let authentication = Authentication {
            at: at + minutes(dice.real(0.0, service.clockwork.jitter)),
            account: Account {
                name: service.upn.split('@').next().unwrap_or_default(),
                email: "",
                groups: &[],
                identity: scatter(service.id.0 as u64),
            },
            integration: Some(gateway),
            asker: Some(Asker { kind: DeviceKind::HomeComputer, client: &client, origin: &origin }),
            approver: None,
            factor: "not_available",
            ending: BYPASSED,
            enrolment: false,
        };
        out.push(event(&log.world, &authentication, dice));
        at += period;
    }
}
