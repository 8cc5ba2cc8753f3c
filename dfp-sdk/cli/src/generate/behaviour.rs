//! A day in the life of a person or a service account.

use super::calendar::{Calendar, DAY, MINUTE, SECOND, Ticks, day_of, is_weekend};
use super::company::{Company, Person, Service, Stay};
use super::device::{Client, Device, DeviceKind, Program};
use super::dice::{Dice, Purpose};
use super::network::{self, Origin};
use super::sign_in::{Actor, Category, Proof, SignIn};
use super::tables::{
    APPS, COMPANIONS, City, EXPIRED_PASSWORD, INTERRUPTIONS, NO_CONSENT, NOT_ASSIGNED, Outcome, Platform,
    REVOKED, Reach, SILENT, STALE_TOKEN, SUCCESS, SUCCESS_BY_CLAIM, SUCCESS_BY_MFA, WRONG_PASSWORD, app,
    town,
};

/// All that behaviour depends on.
pub(super) struct World {
    pub(super) seed: u64,
    pub(super) company: Company,
    pub(super) calendar: Calendar,
}

/// Where a person spends a day.
#[derive(Clone, Copy)]
pub(super) enum Whereabouts {
    Office,
    Home,
    /// On business in another town.
    Travelling(&'static City, u64),
    /// Not at work: at home or, on leave, in a resort.
    Off(Option<(&'static City, u64)>),
}

/// Chance that a day is lost to illness.
const SICK: f64 = 0.018;
/// Chance of having a look at the mail on a day off.
const LOOK_ON_DAY_OFF: f64 = 0.13;
/// Most records of one person and day.
const MOST_RECORDS: usize = 180;
/// Days after which passwords expire.
const PASSWORD_AGE: i32 = 90;

/// Where `person` is on `day`; `dice` must be the person's dice of that day, not used yet.
fn whereabouts(world: &World, person: &Person, day: i32, dice: &mut Dice) -> Whereabouts {
    let rhythm = &person.rhythm;
    let weekday = world.calendar.weekday(day);
    let [works, sick, home] = [dice.unit(), dice.unit(), dice.unit()];
    let stay = person.stays.iter().find(|stay| (stay.since..=stay.until).contains(&day));
    let place = |stay: &Stay| (stay.city, (person.index as u64) << 32 | stay.since as u32 as u64);
    match stay {
        Some(stay) if !stay.work => return Whereabouts::Off(Some(place(stay))),
        Some(stay) if works < rhythm.works[weekday].max(0.5) => {
            let (city, key) = place(stay);
            return Whereabouts::Travelling(city, key);
        }
        Some(stay) => return Whereabouts::Off(Some(place(stay))),
        None => {}
    }
    let holiday = world.calendar.is_holiday(person.home.country, day) && works > 0.06;
    if holiday || sick < SICK || works >= rhythm.works[weekday] {
        Whereabouts::Off(None)
    } else if home < rhythm.home[weekday] || is_weekend(weekday) && rhythm.works[weekday] < 0.5 {
        Whereabouts::Home
    } else {
        Whereabouts::Office
    }
}

/// Whether `person` is at work on `day`.
pub(super) fn at_work(world: &World, person: &Person, day: i32) -> bool {
    let dice = &mut Dice::new(world.seed, Purpose::PersonDay(person.index, day));
    person.employed(day) && !matches!(whereabouts(world, person, day, dice), Whereabouts::Off(_))
}

/// The sign-ins of `person` on the local day `day`.
pub(super) fn person_day<'c>(world: &'c World, person: &'c Person, day: i32, out: &mut Vec<SignIn<'c>>) {
    if !person.employed(day) {
        return;
    }
    let mut dice = Dice::new(world.seed, Purpose::PersonDay(person.index, day));
    let whereabouts = whereabouts(world, person, day, &mut dice);
    let until = out.len() + MOST_RECORDS;
    let mut life = Life { world, person, day, whereabouts, dice, out };
    match whereabouts {
        Whereabouts::Off(_) => life.day_off(),
        _ => life.working_day(),
    }
    life.password_expiry();
    out.truncate(until);
}

/// The device and place that `person` would sign in with at a time of a day, for misuse by the person's own hand.
pub(super) fn own_setting<'c>(
    world: &'c World,
    person: &'c Person,
    day: i32,
    at: Ticks,
    dice: &mut Dice,
) -> Option<(&'c Device, Origin)> {
    let day_dice = &mut Dice::new(world.seed, Purpose::PersonDay(person.index, day));
    let whereabouts = whereabouts(world, person, day, day_dice);
    let device =
        person.devices.iter().find(|device| device.kind == DeviceKind::Laptop && device.in_use(day))?;
    let setting = Setting { person, day, whereabouts };
    Some((device, setting.origin(device, at, dice)))
}

/// Local midnight that starts `day` where the person lives.
pub(super) fn midnight(person: &Person, day: i32) -> Ticks {
    Ticks::from(day) * DAY - Ticks::from(person.home.offset) * MINUTE
}

/// A person on a day, somewhere.
struct Setting<'c> {
    person: &'c Person,
    day: i32,
    whereabouts: Whereabouts,
}

impl Setting<'_> {
    /// The network that `device` is on at `at`.
    fn origin(&self, device: &Device, at: Ticks, dice: &mut Dice) -> Origin {
        let person = self.person;
        let minute = (at - midnight(person, self.day)) / MINUTE;
        let on_the_move = device.kind == DeviceKind::Phone && dice.chance(0.35);
        match self.whereabouts {
            Whereabouts::Travelling(city, stay) | Whereabouts::Off(Some((city, stay))) => {
                self.abroad(device, city, stay, on_the_move, dice)
            }
            _ if on_the_move => network::mobile(self.towns(), dice),
            Whereabouts::Office if self.in_office(minute) && device.kind != DeviceKind::HomeComputer => {
                network::office(person.office, dice)
            }
            _ if device.kind == DeviceKind::Laptop && dice.chance(person.vpn) => {
                network::vpn(person.office, dice)
            }
            _ => network::home(person, self.day),
        }
    }

    fn abroad(
        &self,
        device: &Device,
        city: &'static City,
        stay: u64,
        on_the_move: bool,
        dice: &mut Dice,
    ) -> Origin {
        if device.kind == DeviceKind::Laptop && dice.chance(self.person.vpn) {
            network::vpn(self.person.office, dice)
        } else if on_the_move {
            // Roaming traffic mostly comes out at home.
            let towns = [city.name];
            network::mobile(if dice.chance(0.6) { self.towns() } else { &towns }, dice)
        } else {
            network::hotel(city, stay)
        }
    }

    /// The towns that the person's phone network comes out in.
    fn towns(&self) -> &'static [&'static str] {
        self.person.office.homes
    }

    fn in_office(&self, minute: i64) -> bool {
        let rhythm = &self.person.rhythm;
        let start = rhythm.start - 20.0;
        (start..start + rhythm.length + rhythm.rotation + 40.0).contains(&(minute as f64))
    }
}

/// A person's day being lived.
struct Life<'c, 'o> {
    world: &'c World,
    person: &'c Person,
    day: i32,
    whereabouts: Whereabouts,
    dice: Dice,
    out: &'o mut Vec<SignIn<'c>>,
}

impl<'c> Life<'c, '_> {
    fn working_day(&mut self) {
        let target = self.out.len() + self.volume();
        let start = self.start();
        self.visit(start, Some(DeviceKind::Laptop));
        while self.out.len() < target {
            let at = self.moment(start);
            self.visit(at, None);
        }
    }

    fn day_off(&mut self) {
        if !self.dice.chance(LOOK_ON_DAY_OFF) || self.person.rhythm.rare {
            return;
        }
        for _ in 0..=self.dice.below(4) {
            let minute = self.dice.real(480.0, 1380.0);
            let at = self.local(minute);
            self.visit(at, Some(DeviceKind::Phone));
        }
    }

    /// How many records the day gets: the person's habit, the weekday, and now and then a hectic day.
    fn volume(&mut self) -> usize {
        let rhythm = &self.person.rhythm;
        let weekday = self.world.calendar.weekday(self.day);
        let hectic = if self.dice.chance(0.05) { self.dice.real(1.6, 3.2) } else { 1.0 };
        let whereabouts = match self.whereabouts {
            Whereabouts::Travelling(..) => 0.65,
            _ if is_weekend(weekday) && rhythm.works[weekday] < 0.5 => 0.35,
            _ => 1.0,
        };
        let volume = rhythm.volume * rhythm.pace[weekday] * self.dice.real(0.6, 1.4) * hectic * whereabouts;
        self.dice.around(volume).clamp(1, MOST_RECORDS)
    }

    /// When work starts.
    fn start(&mut self) -> Ticks {
        let rhythm = &self.person.rhythm;
        let odd_week = self.world.calendar.epoch_day(self.day).div_euclid(7) % 2 != 0;
        let rotation = if odd_week { rhythm.rotation } else { 0.0 };
        let minute = self.dice.normal(rhythm.start + rotation, rhythm.spread);
        self.local(minute)
    }

    /// Some time of the working day, fewer around the middle, a few in the evening.
    fn moment(&mut self, start: Ticks) -> Ticks {
        let rhythm = &self.person.rhythm;
        if self.dice.chance(rhythm.evening) {
            return start + minutes(rhythm.length + self.dice.heavy(40.0).min(420.0));
        }
        if self.dice.chance(0.04) {
            // A glance at the phone before work.
            return start - minutes(self.dice.real(5.0, 90.0));
        }
        let part = self.dice.unit();
        let lunch = (0.4..0.52).contains(&part) && self.dice.chance(0.7);
        let part = if lunch { self.dice.unit() } else { part };
        // The first hour is the busiest.
        let part = if self.dice.chance(0.2) { part * 0.18 } else { part };
        start + minutes(rhythm.length * part)
    }

    fn local(&self, minute: f64) -> Ticks {
        midnight(self.person, self.day) + minutes(minute)
    }

    /// One look at an app: perhaps an interruption, the sign-in, and what the app pulls in.
    fn visit(&mut self, at: Ticks, kind: Option<DeviceKind>) {
        let device = self.device(kind);
        let Some(app) = self.app(device) else { return };
        let at = at + self.dice.int(0, 59 * SECOND);
        let setting = Setting { person: self.person, day: self.day, whereabouts: self.whereabouts };
        let origin = setting.origin(device, at, &mut self.dice);
        let program = self.program(device, app);
        let client = device.client(program, self.day, self.world.calendar.epoch_day(self.day));
        let at = self.stumble(at, app, &client, &origin);
        self.succeed(at, app, &client, &origin);
        self.companions(at, device, &client, &origin);
    }

    fn device(&mut self, kind: Option<DeviceKind>) -> &'c Device {
        let kind = kind.unwrap_or_else(|| match (self.whereabouts, self.dice.below(100)) {
            (Whereabouts::Home, 0..8) => DeviceKind::HomeComputer,
            (_, 80..) => DeviceKind::Phone,
            _ => DeviceKind::Laptop,
        });
        let owned = || self.person.devices.iter().filter(|device| device.in_use(self.day));
        owned()
            .find(|device| device.kind == kind)
            .or_else(|| owned().next())
            .unwrap_or(&self.person.devices[0])
    }

    fn app(&mut self, device: &Device) -> Option<usize> {
        let habits = self.person.habits_on(self.day).filter(|habit| runs_on(habit.app, device));
        let chosen = self.dice.weighted(habits.clone().map(|habit| habit.weight));
        habits.map(|habit| habit.app).nth(chosen)
    }

    fn program(&mut self, device: &Device, app: usize) -> Program {
        let mail = APPS[app].name == "Office 365 Exchange Online";
        match self.person.legacy.filter(|_| mail) {
            Some(legacy) if self.dice.chance(0.5) => Program::Legacy(legacy),
            _ => program(device, app, &mut self.dice),
        }
    }

    /// What goes wrong before a sign-in; answers when it is tried again.
    fn stumble(&mut self, at: Ticks, app: usize, client: &Client, origin: &Origin) -> Ticks {
        let mut at = at;
        if self.dice.chance(self.person.typos) {
            for _ in 0..self.dice.heavy(1.0).min(7.0) as usize {
                self.record(at, app, client, origin, &WRONG_PASSWORD, Proof::Password);
                at += self.dice.int(6 * SECOND, 45 * SECOND);
            }
        }
        let roll = self.dice.below(1000) as u32;
        let mut passed = 0;
        for (outcome, weight) in INTERRUPTIONS {
            passed += weight;
            if roll < passed {
                self.record(at, app, client, origin, outcome, proof_of(outcome));
                return at + self.dice.int(8 * SECOND, 50 * SECOND);
            }
        }
        at
    }

    fn succeed(&mut self, at: Ticks, app: usize, client: &Client, origin: &Origin) {
        // Away from the company's networks, a second factor is asked for more often.
        let asked = if origin.named.is_some() { 0.02 } else { 0.09 };
        let (outcome, proof) = match self.dice.unit() {
            roll if roll < asked => (&SUCCESS_BY_MFA, Proof::SecondFactor),
            roll if roll < 0.16 => (&SUCCESS, Proof::Password),
            roll if roll < 0.6 => (&SUCCESS_BY_CLAIM, Proof::Claim),
            _ => (&SUCCESS, Proof::Claim),
        };
        self.record(at, app, client, origin, outcome, proof);
    }

    /// A web page of the suite pulls in further apps, a program renews its token.
    fn companions(&mut self, at: Ticks, device: &Device, client: &Client, origin: &Origin) {
        if client.used == "Browser" && self.dice.chance(0.2) {
            let mut at = at;
            for _ in 0..=self.dice.below(3) {
                at += self.dice.int(SECOND / 2, 9 * SECOND);
                let companion = app(self.dice.pick(COMPANIONS));
                self.record(at, companion, client, origin, &SUCCESS_BY_CLAIM, Proof::Claim);
            }
        } else if client.used != "Browser" && device.registration.is_some() && self.dice.chance(0.13) {
            let at = at + self.dice.int(20 * MINUTE, 90 * MINUTE);
            let app =
                app(self.dice.pick(&["Microsoft Teams", "Office 365 Exchange Online", "Microsoft Office"]));
            self.record(at, app, client, origin, &SUCCESS_BY_CLAIM, Proof::Claim);
            if let Some(renewal) = self.out.last_mut() {
                renewal.category = Category::NonInteractive;
            }
        }
    }

    /// The password runs out every ninety days; a phone that still has the old one then knocks in vain for some hours.
    fn password_expiry(&mut self) {
        let day = self.day - self.person.expiry;
        if day.rem_euclid(PASSWORD_AGE) != 0 || matches!(self.whereabouts, Whereabouts::Off(_)) {
            return;
        }
        let start = self.start();
        let mail = app("Office 365 Exchange Online");
        self.lone_failure(start, DeviceKind::Laptop, mail, &EXPIRED_PASSWORD);
        let outcome = self.dice.pick(&[&WRONG_PASSWORD, &REVOKED]);
        let mut at = start;
        for _ in 0..self.dice.heavy(2.0).min(16.0) as usize {
            at += self.dice.int(2 * MINUTE, 35 * MINUTE);
            self.lone_failure(at, DeviceKind::Phone, mail, outcome);
        }
    }

    fn lone_failure(&mut self, at: Ticks, kind: DeviceKind, app: usize, outcome: &'static Outcome) {
        let device = self.device(Some(kind));
        let setting = Setting { person: self.person, day: self.day, whereabouts: self.whereabouts };
        let origin = setting.origin(device, at, &mut self.dice);
        let client = device.client(Program::Rich, self.day, self.world.calendar.epoch_day(self.day));
        self.record(at, app, &client, &origin, outcome, proof_of(outcome));
    }

    fn record(
        &mut self,
        at: Ticks,
        app: usize,
        client: &Client,
        origin: &Origin,
        outcome: &'static Outcome,
        proof: Proof,
    ) {
        let actor = Actor::Person(self.person);
        let sign_in = SignIn::new(&mut self.dice, actor, at, app, client.clone(), origin.clone());
        self.out.push(sign_in.ending(outcome, proof));
    }
}

/// The program that an app is used with on a device.
pub(super) fn program(device: &Device, app: usize, dice: &mut Dice) -> Program {
    let own = match APPS[app].reach {
        Reach::Web => 0.0,
        Reach::Desktop | Reach::Mobile => 1.0,
        Reach::Suite if device.kind == DeviceKind::HomeComputer => 0.05,
        Reach::Suite => 0.65,
    };
    if dice.chance(own) { Program::Rich } else { Program::Browser(device.browser(dice)) }
}

/// Whether an app can be used on a device.
pub(super) fn runs_on(app: usize, device: &Device) -> bool {
    let app = &APPS[app];
    let windows_only = matches!(app.name, "Windows Sign In" | "Microsoft Azure PowerShell");
    match app.reach {
        Reach::Mobile => device.kind == DeviceKind::Phone,
        Reach::Desktop => {
            device.kind == DeviceKind::Laptop && (!windows_only || device.platform == Platform::Windows)
        }
        Reach::Web | Reach::Suite => true,
    }
}

/// How far the sign-in came before it ended that way.
pub(super) fn proof_of(outcome: &Outcome) -> Proof {
    let by_token = [&SILENT, &STALE_TOKEN, &REVOKED, &NO_CONSENT, &NOT_ASSIGNED];
    if by_token.contains(&outcome) { Proof::Claim } else { Proof::Password }
}

fn minutes(minutes: f64) -> Ticks {
    (minutes * MINUTE as f64) as Ticks
}

/// The sign-ins of a service account on the UTC day `day`: clockwork.
pub(super) fn service_day<'c>(world: &'c World, service: &'c Service, day: i32, out: &mut Vec<SignIn<'c>>) {
    let clockwork = service.clockwork;
    if clockwork.weekdays && is_weekend(world.calendar.weekday(day)) {
        return;
    }
    let dice = &mut Dice::new(world.seed, Purpose::ServiceDay(service.index, day));
    let period = clockwork.period * MINUTE;
    let phase = service.index as Ticks * 7 * MINUTE % period;
    let mut due = Ticks::from(day) * DAY + phase;
    while day_of(due) == day {
        let at = due + minutes(dice.real(0.0, clockwork.jitter));
        let fails = dice.chance(clockwork.failures);
        out.push(service_sign_in(world, service, day, at, fails, dice));
        due += period;
    }
}

fn service_sign_in<'c>(
    world: &'c World,
    service: &'c Service,
    day: i32,
    at: Ticks,
    fails: bool,
    dice: &mut Dice,
) -> SignIn<'c> {
    let clockwork = service.clockwork;
    let program = clockwork.legacy.map_or(Program::Rich, Program::Legacy);
    let client = service.device.client(program, day, world.calendar.epoch_day(day));
    let origin = service_origin(service);
    let sign_in = SignIn::new(dice, Actor::Service(service), at, app(clockwork.app), client, origin);
    let outcome = if fails { &STALE_TOKEN } else { &SUCCESS };
    let category = if clockwork.principal { Category::ServicePrincipal } else { Category::NonInteractive };
    SignIn { category, ..sign_in.ending(outcome, Proof::Claim) }
}

/// A machine in the company's data centre or in the cloud.
fn service_origin(service: &Service) -> Origin {
    let number = service.index % 200;
    let hall = if service.index.is_multiple_of(3) { service.office.city } else { "Dublin" };
    Origin {
        city: Some(town(hall)),
        address: format!("198.18.200.{}", number + 1),
        system: 64630 + (service.index % 3) as u32,
        named: None,
        unfamiliar: false,
    }
}
