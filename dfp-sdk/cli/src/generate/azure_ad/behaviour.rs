//! A day in the life of a person or a service account.

use super::super::calendar::{DAY, MINUTE, SECOND, Ticks, day_of, is_weekend};
use super::super::company::{Person, Service};
use super::super::day::{Day, minutes};
use super::super::device::{Client, Device, DeviceKind, Program};
use super::super::dice::{Dice, Purpose};
use super::super::network::Origin;
use super::super::run::World;
use super::super::tables::{
    APPS, COMPANIONS, EXPIRED_PASSWORD, INTERRUPTIONS, NO_CONSENT, NOT_ASSIGNED, Outcome, Platform, REVOKED,
    Reach, SILENT, STALE_TOKEN, SUCCESS, SUCCESS_BY_CLAIM, SUCCESS_BY_MFA, WRONG_PASSWORD, app, town,
};
use super::sign_in::{Actor, Category, Proof, SignIn};

/// Chance of having a look at the mail on a day off.
const LOOK_ON_DAY_OFF: f64 = 0.13;
/// Most records of one person and day.
const MOST_RECORDS: usize = 180;
/// Days after which passwords expire.
const PASSWORD_AGE: i32 = 90;

/// The sign-ins of `person` on the local day `day`.
pub(super) fn person_day<'c>(world: &'c World, person: &'c Person, day: i32) -> Vec<SignIn<'c>> {
    let Some(day) = Day::new(world, person, day) else { return Vec::new() };
    let mut life = Life { day, out: Vec::new() };
    if life.day.works() {
        life.working_day();
    } else {
        life.day_off();
    }
    life.password_expiry();
    life.out.truncate(MOST_RECORDS);
    life.out
}

/// A person's day being lived.
struct Life<'c> {
    day: Day<'c>,
    out: Vec<SignIn<'c>>,
}

impl Life<'_> {
    fn working_day(&mut self) {
        let volume = self.day.volume(self.day.person.rhythm.volume);
        let target = self.day.dice.around(volume).clamp(1, MOST_RECORDS);
        let start = self.day.start();
        self.visit(start, Some(DeviceKind::Laptop));
        while self.out.len() < target {
            let at = self.day.moment(start);
            self.visit(at, None);
        }
    }

    fn day_off(&mut self) {
        if !self.day.dice.chance(LOOK_ON_DAY_OFF) || self.day.person.rhythm.rare {
            return;
        }
        for _ in 0..=self.day.dice.below(4) {
            let minute = self.day.dice.real(480.0, 1380.0);
            let at = self.day.local(minute);
            self.visit(at, Some(DeviceKind::Phone));
        }
    }

    /// One look at an app: perhaps an interruption, the sign-in, and what the app pulls in.
    fn visit(&mut self, at: Ticks, kind: Option<DeviceKind>) {
        let device = self.day.device(kind);
        let Some(app) = self.app(device) else { return };
        let at = at + self.day.dice.int(0, 59 * SECOND);
        let origin = self.day.origin(device, at);
        let program = self.program(device, app);
        let client = self.day.client(device, program);
        let at = self.stumble(at, app, &client, &origin);
        self.succeed(at, app, &client, &origin);
        self.companions(at, device, &client, &origin);
    }

    fn app(&mut self, device: &Device) -> Option<usize> {
        let habits = self.day.person.habits_on(self.day.date).filter(|habit| runs_on(habit.app, device));
        let chosen = self.day.dice.weighted(habits.clone().map(|habit| habit.weight));
        habits.map(|habit| habit.app).nth(chosen)
    }

    fn program(&mut self, device: &Device, app: usize) -> Program {
        let mail = APPS[app].name == "Office 365 Exchange Online";
        match self.day.person.legacy.filter(|_| mail) {
            Some(legacy) if self.day.dice.chance(0.5) => Program::Legacy(legacy),
            _ => program(device, app, &mut self.day.dice),
        }
    }

    /// What goes wrong before a sign-in; answers when it is tried again.
    fn stumble(&mut self, at: Ticks, app: usize, client: &Client, origin: &Origin) -> Ticks {
        let mut at = at;
        if self.day.dice.chance(self.day.person.typos) {
            for _ in 0..self.day.dice.heavy(1.0).min(7.0) as usize {
                self.record(at, app, client, origin, &WRONG_PASSWORD, Proof::Password);
                at += self.day.dice.int(6 * SECOND, 45 * SECOND);
            }
        }
        let roll = self.day.dice.below(1000) as u32;
        let mut passed = 0;
        for (outcome, weight) in INTERRUPTIONS {
            passed += weight;
            if roll < passed {
                self.record(at, app, client, origin, outcome, proof_of(outcome));
                return at + self.day.dice.int(8 * SECOND, 50 * SECOND);
            }
        }
        at
    }

    fn succeed(&mut self, at: Ticks, app: usize, client: &Client, origin: &Origin) {
        // Away from the company's networks, a second factor is asked for more often.
        let asked = if origin.named.is_some() { 0.02 } else { 0.09 };
        let (outcome, proof) = match self.day.dice.unit() {
            roll if roll < asked => (&SUCCESS_BY_MFA, Proof::SecondFactor),
            roll if roll < 0.16 => (&SUCCESS, Proof::Password),
            roll if roll < 0.6 => (&SUCCESS_BY_CLAIM, Proof::Claim),
            _ => (&SUCCESS, Proof::Claim),
        };
        self.record(at, app, client, origin, outcome, proof);
    }

    /// A web page of the suite pulls in further apps, a program renews its token.
    fn companions(&mut self, at: Ticks, device: &Device, client: &Client, origin: &Origin) {
        if client.used == "Browser" && self.day.dice.chance(0.2) {
            let mut at = at;
            for _ in 0..=self.day.dice.below(3) {
                at += self.day.dice.int(SECOND / 2, 9 * SECOND);
                let companion = app(self.day.dice.pick(COMPANIONS));
                self.record(at, companion, client, origin, &SUCCESS_BY_CLAIM, Proof::Claim);
            }
        } else if client.used != "Browser" && device.registration.is_some() && self.day.dice.chance(0.13) {
            let at = at + self.day.dice.int(20 * MINUTE, 90 * MINUTE);
            let app = app(self.day.dice.pick(&[
                "Microsoft Teams",
                "Office 365 Exchange Online",
                "Microsoft Office",
            ]));
            self.record(at, app, client, origin, &SUCCESS_BY_CLAIM, Proof::Claim);
            if let Some(renewal) = self.out.last_mut() {
                renewal.category = Category::NonInteractive;
            }
        }
    }

    /// The password runs out every ninety days; a phone that still has the old one then knocks in vain for some hours.
    fn password_expiry(&mut self) {
        let day = self.day.date - self.day.person.expiry;
        if day.rem_euclid(PASSWORD_AGE) != 0 || !self.day.works() {
            return;
        }
        let start = self.day.start();
        let mail = app("Office 365 Exchange Online");
        self.lone_failure(start, DeviceKind::Laptop, mail, &EXPIRED_PASSWORD);
        let outcome = self.day.dice.pick(&[&WRONG_PASSWORD, &REVOKED]);
        let mut at = start;
        for _ in 0..self.day.dice.heavy(2.0).min(16.0) as usize {
            at += self.day.dice.int(2 * MINUTE, 35 * MINUTE);
            self.lone_failure(at, DeviceKind::Phone, mail, outcome);
        }
    }

    fn lone_failure(&mut self, at: Ticks, kind: DeviceKind, app: usize, outcome: &'static Outcome) {
        let device = self.day.device(Some(kind));
        let origin = self.day.origin(device, at);
        let client = self.day.client(device, Program::Rich);
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
        let actor = Actor::Person(self.day.person);
        let sign_in = SignIn::new(&mut self.day.dice, actor, at, app, client.clone(), origin.clone());
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

/// The sign-ins of a service account on the UTC day `day`: clockwork.
pub(super) fn service_day<'c>(world: &'c World, service: &'c Service, day: i32) -> Vec<SignIn<'c>> {
    let mut out = Vec::new();
    let clockwork = service.clockwork;
    if clockwork.weekdays && is_weekend(world.calendar.weekday(day)) {
        return out;
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
    out
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
