//! A day in the cloud: of a person, of a machine, of AWS itself.

use super::super::calendar::{DAY, HOUR, MINUTE, SECOND, Ticks, day_of, is_weekend};
use super::super::company::Person;
use super::super::day::{Day, minutes};
use super::super::device::{Device, DeviceKind, Program};
use super::super::dice::{Dice, HEX, Kind as Log, Purpose, key, scatter, token};
use super::super::json::{Object, fill};
use super::super::network;
use super::super::run::Event;
use super::CloudTrail;
use super::calls::{Call, Kind, call};
use super::estate::{Access, identifier};
use super::record::{
    Assumed, Ending, Login, Request, Session, agent, assumed, console_user, event, login, plain, root,
    through, user,
};
use super::work::{GLOBAL, HOME, MACHINES, Machine, Nature, REGIONS, SYSTEMS, System, TASKS, Task, Tool};

/// Chance that somebody who builds is called out of bed.
const CALLED_AT_NIGHT: f64 = 0.03;
/// Chance that a task is one that the person has no habit of.
const TRIES_SOMETHING: f64 = 0.012;
/// Chance that the laptop is on the phone's network.
const TETHERED: f64 = 0.03;
/// Chance that an account's owner signs in on a working day.
const OWNER_SIGNS_IN: f64 = 0.012;
/// Most calls of one person and day.
const MOST_CALLS: usize = 600;

/// Where a caller sits.
pub(super) struct Seat {
    pub(super) address: String,
    /// What the browser says.
    pub(super) browser: String,
    /// How the tools name the operating system.
    pub(super) system: String,
    /// Days that the tools are behind.
    pub(super) lag: i32,
}

/// The cloud as it is called on.
pub(super) struct Calls<'c, 'o> {
    pub(super) log: &'c CloudTrail,
    pub(super) out: &'o mut Vec<Event>,
}

impl Calls<'_, '_> {
    /// One call, as that tool makes it.
    pub(super) fn make(
        &mut self,
        at: Ticks,
        call: &'static Call,
        (session, seat, tool, region): (&Session, &Seat, Tool, usize),
        ending: Ending,
        dice: &mut Dice,
    ) {
        let (world, estate) = (&self.log.world, &self.log.estate);
        if call.key == "kms:Decrypt" && tool != Tool::Scanner {
            // The secret store decrypts in the caller's name.
            let service = "secretsmanager.amazonaws.com";
            let session = &through(session, service);
            let request = Request {
                at,
                call,
                session,
                region,
                address: service,
                agent: service,
                direct: false,
                ending,
            };
            return self.out.push(event(world, estate, &request, dice));
        }
        let agent = match tool {
            Tool::Console => console_agent(call, seat),
            _ => agent(tool, call, &seat.system, world.calendar.epoch_day(day_of(at)), seat.lag),
        };
        let direct = tool != Tool::Console;
        let request =
            Request { at, call, session, region, address: &seat.address, agent: &agent, direct, ending };
        self.out.push(event(world, estate, &request, dice));
    }

    /// Calls in order, each about as often as it says; answers when the last one was.
    pub(super) fn work_through(
        &mut self,
        start: Ticks,
        calls: &[(&str, f64)],
        how: (&Session, &Seat, Tool, usize),
        dice: &mut Dice,
    ) -> Ticks {
        let mut at = start;
        for (key, mean) in calls {
            let call = call(key);
            let mean = mean * dice.real(0.5, 1.5);
            for _ in 0..dice.around(mean) {
                at += pause(how.2, dice);
                let ending = ending(call, &how.0.role, dice);
                self.make(at, call, how, ending, dice);
            }
        }
        at
    }
}

/// Between two calls: people wait and think, programs do not.
fn pause(tool: Tool, dice: &mut Dice) -> Ticks {
    let seconds = match tool {
        Tool::Console if dice.chance(0.3) => dice.heavy(4.0).min(120.0),
        Tool::Console => dice.real(0.1, 1.5),
        Tool::CommandLine => dice.heavy(4.0).min(300.0),
        Tool::Scanner => dice.real(0.1, 3.0),
        _ => dice.real(0.05, 1.2),
    };
    (seconds * SECOND as f64) as Ticks
}

/// How a call ends: now and then something is not there, not allowed, or asked for too often.
fn ending(call: &Call, role: &str, dice: &mut Dice) -> Ending {
    let forbidden = match (role, call.kind) {
        ("ReadOnlyAccess" | "SecurityAudit" | "SupportAccess", Kind::Write | Kind::WriteData) => 0.8,
        ("ReadOnlyAccess" | "SupportAccess", _) if call.key.starts_with("secretsmanager:Get") => 0.7,
        _ => 0.006,
    };
    match dice.unit() {
        roll if roll < forbidden => Ending::Denied,
        roll if roll > 0.99 && call.parameters.contains('$') => Ending::Missing,
        roll if roll > 0.9885 && call.kind == Kind::Read => Ending::Throttled,
        _ => Ending::Done,
    }
}

/// Pages of the console call on their own, from within AWS, or from the browser.
fn console_agent(call: &Call, seat: &Seat) -> String {
    match call.key.split(':').next() {
        Some("s3") => {
            "[S3Console/0.4, aws-internal/3 aws-sdk-java/1.12.750 Linux/5.10.245-245.983.amzn2int.x86_64 \
             OpenJDK_64-Bit_Server_VM/25.472-b08 java/1.8.0_472 vendor/Oracle_Corporation cfg/retry-mode/standard]"
                .to_owned()
        }
        Some("health" | "monitoring" | "ce" | "access-analyzer") => "AWS Internal".to_owned(),
        _ => seat.browser.clone(),
    }
}

/// A person's day in the cloud.
struct Life<'c, 'o> {
    day: Day<'c>,
    access: &'c Access,
    calls: Calls<'c, 'o>,
    /// Sessions of the day, by grant.
    open: Vec<(usize, Session)>,
}

/// What a person does there on a local day.
pub(super) fn person_day(log: &CloudTrail, person: &Person, day: i32, out: &mut Vec<Event>) {
    let access = &log.estate.people[person.index];
    if !access.active || person.rhythm.rare {
        return;
    }
    let Some(lived) = Day::new(&log.world, person, day) else { return };
    let lived = lived.with(Purpose::ActorDay(Log::CloudTrail, person.index, day));
    let until = out.len() + MOST_CALLS;
    let mut life = Life { day: lived, access, calls: Calls { log, out }, open: Vec::new() };
    if life.day.works() {
        life.working_day();
    }
    if access.job.tasks > 3.0 && life.day.dice.chance(CALLED_AT_NIGHT) {
        life.night_call();
    }
    out.truncate(until);
}

impl<'c> Life<'c, '_> {
    fn working_day(&mut self) {
        let usual = self.access.job.tasks * self.access.eagerness;
        let volume = self.day.volume(usual);
        let start = self.day.start();
        let mut moments: Vec<Ticks> =
            (0..self.day.dice.around(volume)).map(|_| self.day.moment(start)).collect();
        moments.sort_unstable();
        for at in moments {
            if let Some(task) = self.task() {
                self.perform(at, task);
            }
        }
    }

    fn night_call(&mut self) {
        let minute = self.day.dice.real(1320.0, 1740.0);
        let mut at = self.day.local(minute);
        for _ in 0..self.day.dice.int(1, 3) {
            let name =
                self.day.dice.pick(&["check alarms", "read logs", "watch services", "log in to a machine"]);
            let task = TASKS.iter().find(|task| task.name == name);
            at = task.map_or(at, |task| self.perform(at, task)) + 2 * MINUTE;
        }
    }

    fn task(&mut self) -> Option<&'static Task> {
        if self.day.dice.chance(TRIES_SOMETHING) {
            return TASKS.get(self.day.dice.below(TASKS.len()));
        }
        let day = self.day.date;
        let habits =
            self.access.habits.iter().filter(|(_, _, since, until)| (*since..=*until).contains(&day));
        let chosen = self.day.dice.weighted(habits.clone().map(|(_, weight, ..)| *weight));
        habits.map(|(task, ..)| &TASKS[*task]).nth(chosen)
    }

    /// Does a task; answers when it is done.
    fn perform(&mut self, at: Ticks, task: &Task) -> Ticks {
        let laptop = self.day.owned(DeviceKind::Laptop);
        let seat = self.seat(laptop, at);
        let session = self.session(at, task, &seat);
        let at = at + minutes(0.2);
        let region = self.region(session.account);
        let dice = &mut self.day.dice;
        self.calls.work_through(at, task.calls, (&session, &seat, task.tool, region), dice)
    }

    fn seat(&mut self, laptop: &'c Device, at: Ticks) -> Seat {
        let browser = laptop.browser(&mut self.day.dice);
        let tethered = self.day.dice.chance(TETHERED);
        let origin = if tethered {
            network::mobile(self.day.person.office.homes, &mut self.day.dice)
        } else {
            self.day.origin(laptop, at)
        };
        Seat {
            address: origin.address,
            browser: self.day.client(laptop, Program::Browser(browser)).agent,
            system: self.access.system.to_owned(),
            lag: self.access.lag,
        }
    }

    /// Mostly at home, at times somewhere else, seldom in the wrong place.
    fn region(&mut self, account: usize) -> usize {
        let used: Vec<usize> =
            (0..REGIONS.len()).filter(|r| REGIONS[*r].used_by.contains(&account)).collect();
        match self.day.dice.unit() {
            roll if roll < 0.9 => HOME,
            roll if roll < 0.992 => self.day.dice.pick(&used),
            _ => self.day.dice.below(REGIONS.len()),
        }
    }

    /// The session that a task is done in; the day's first in a role begins with a sign-in.
    fn session(&mut self, at: Ticks, task: &Task, seat: &Seat) -> Session {
        let (log, access) = (self.calls.log, self.access);
        let console = task.tool == Tool::Console;
        if let Some(name) = &access.user {
            let account = access.grants[0].0;
            if !console && self.day.dice.chance(0.5) {
                return user(&log.estate, account, name);
            }
        }
        let grant = self.day.dice.weighted(access.grants.iter().map(|(.., weight)| *weight));
        let slot = grant * 2 + usize::from(console);
        if let Some((_, session)) = self.open.iter().find(|(open, _)| *open == slot) {
            return session.clone();
        }
        let (account, role, _) = access.grants[grant];
        let session = self.sign_in(at, (account, role), console, seat);
        self.open.push((slot, session.clone()));
        session
    }

    fn sign_in(&mut self, at: Ticks, (account, role): (usize, &str), console: bool, seat: &Seat) -> Session {
        let (log, person) = (self.calls.log, self.day.person);
        let dice = &mut self.day.dice;
        // Some who have a user of their own still use its password.
        if let Some(name) = self.access.user.as_ref().filter(|_| console && dice.chance(0.3)) {
            let since = log.world.calendar.seconds(at);
            let mfa = !scatter(person.index as u64).is_multiple_of(8);
            let session = console_user(&log.estate, account, name, &since, mfa);
            if dice.chance(person.typos * 2.0) {
                self.calls.log_in(at - 20 * SECOND, &session, seat, (Some(mfa), true), dice);
            }
            self.calls.log_in(at, &session, seat, (Some(mfa), false), dice);
            return session;
        }
        self.calls.federate(at, (account, role), &person.upn, console, seat, dice)
    }
}

impl Calls<'_, '_> {
    /// The password page of the console.
    pub(super) fn log_in(
        &mut self,
        at: Ticks,
        session: &Session,
        seat: &Seat,
        (mfa, failed): (Option<bool>, bool),
        dice: &mut Dice,
    ) {
        let (world, estate) = (&self.log.world, &self.log.estate);
        let request = Login { at, session, address: &seat.address, agent: &seat.browser, mfa, failed };
        self.out.push(login(world, estate, &request, dice));
    }

    /// Single sign-on: a role is exchanged for the directory's word, and the console opens.
    pub(super) fn federate(
        &mut self,
        at: Ticks,
        (account, role): (usize, &str),
        upn: &str,
        console: bool,
        seat: &Seat,
        dice: &mut Dice,
    ) -> Session {
        let (world, estate) = (&self.log.world, &self.log.estate);
        let number = &estate.accounts[account];
        let set = format!("AWSReservedSSO_{role}_{}", token(HEX, 16, key(role)));
        let identity = Object::new()
            .text("type", "SAMLUser")
            .text("principalId", &format!("{}:{upn}", identifier("", number)))
            .text("userName", upn)
            .text("identityProvider", &identifier("", number));
        let asker = plain(account, identity, &set, upn);
        let request = Request {
            at,
            call: call("sts:AssumeRoleWithSAML"),
            session: &asker,
            region: HOME,
            address: &seat.address,
            agent: "aws-internal/3 aws-sdk-java/1.12.797",
            direct: true,
            ending: Ending::Done,
        };
        self.out.push(event(world, estate, &request, dice));
        let since = world.calendar.seconds(at);
        let path = format!("aws-reserved/sso.amazonaws.com/{}/", REGIONS[HOME].name);
        let mut session = assumed(
            estate,
            &Assumed {
                account,
                path: &path,
                role: &set,
                name: upn,
                since: &since,
                mfa: false,
                console,
                machine: false,
            },
        );
        role.clone_into(&mut session.role);
        if console {
            self.log_in(at + SECOND, &session, seat, (None, false), dice);
        }
        session
    }
}

/// How many machines there are for so many people.
pub(super) fn machines(people: usize) -> usize {
    MACHINES.len() * (1 + people / 80)
}

/// What a machine does on a UTC day.
pub(super) fn machine_day(log: &CloudTrail, index: usize, day: i32, out: &mut Vec<Event>) {
    let machine = &MACHINES[index % MACHINES.len()];
    let dice = &mut Dice::new(log.world.seed, Purpose::ActorDay(Log::CloudTrail, 1 << 22 | index, day));
    if machine.office_hours && is_weekend(log.world.calendar.weekday(day)) && !dice.chance(0.1) {
        return;
    }
    let period = machine.period * MINUTE;
    let phase = (index as Ticks * 17 * MINUTE + machine.period * MINUTE / 3) % period;
    let mut due = Ticks::from(day) * DAY + phase;
    while day_of(due) == day {
        let hour = due / HOUR % 24;
        if !machine.office_hours || (7..19).contains(&hour) {
            let at = due + minutes(dice.real(0.0, machine.jitter));
            machine_run(log, (machine, index), at, dice, out);
        }
        due += period;
    }
}

fn machine_run(
    log: &CloudTrail,
    (machine, index): (&Machine, usize),
    at: Ticks,
    dice: &mut Dice,
    out: &mut Vec<Event>,
) {
    let seat = machine_seat(machine, index);
    let mut calls = Calls { log, out };
    let session = machine_session(&mut calls, (machine, index), at, &seat, dice);
    calls.work_through(at, machine.calls, (&session, &seat, machine.tool, HOME), dice);
}

fn machine_seat(machine: &Machine, index: usize) -> Seat {
    let system = match machine.nature {
        Nature::Function => "os/linux#5.10.245 md/arch#x86_64 exec-env/AWS_Lambda_python3.12",
        _ => "os/linux#6.12.58 md/arch#arm64",
    };
    Seat {
        address: format!("198.51.100.{}", 10 + index * 7 % 200),
        browser: String::new(),
        system: system.to_owned(),
        lag: 20 + index as i32 * 11 % 50,
    }
}

fn machine_session(
    calls: &mut Calls<'_, '_>,
    (machine, index): (&Machine, usize),
    at: Ticks,
    seat: &Seat,
    dice: &mut Dice,
) -> Session {
    let Calls { log, .. } = calls;
    let (world, estate) = (&log.world, &log.estate);
    let account = machine.account;
    // Credentials of machines are renewed every six hours.
    let since = world.calendar.seconds(at.div_euclid(6 * HOUR) * 6 * HOUR + index as Ticks * 7 * MINUTE);
    let instance = format!("i-0{}", token(HEX, 16, scatter(index as u64)));
    let named = |name: &str, since: &str, on_instance: bool| {
        let who = Assumed {
            account,
            path: "",
            role: machine.name,
            name,
            since,
            mfa: false,
            console: false,
            machine: on_instance,
        };
        assumed(estate, &who)
    };
    match machine.nature {
        Nature::User => user(estate, account, machine.name),
        Nature::Instance => named(&instance, &since, true),
        Nature::Function => named(machine.name, &since, false),
        Nature::Pipeline => {
            let identity = Object::new()
                .text("type", "WebIdentityUser")
                .text("principalId", "token.actions.githubusercontent.com:sts.amazonaws.com:repo:tarnbridge/platform:ref:refs/heads/main")
                .text("userName", "repo:tarnbridge/platform:ref:refs/heads/main")
                .text("identityProvider", "token.actions.githubusercontent.com");
            let asker = plain(account, identity, machine.name, "GitHubActions");
            calls.make(
                at,
                call("sts:AssumeRoleWithWebIdentity"),
                (&asker, seat, Tool::Go, HOME),
                Ending::Done,
                dice,
            );
            named("GitHubActions", &world.calendar.seconds(at), false)
        }
        Nature::Supplier => {
            let identity = Object::new()
                .text("type", "AWSAccount")
                .text("principalId", &identifier("AROA", &estate.supplier))
                .text("accountId", &estate.supplier);
            let asker = plain(account, identity, machine.name, "DatadogAWSIntegration");
            calls.make(at, call("sts:AssumeRole"), (&asker, seat, Tool::Go, HOME), Ending::Done, dice);
            named("DatadogAWSIntegration", &world.calendar.seconds(at), false)
        }
    }
}

/// What AWS does by itself in an account on a UTC day, and its owner once in a blue moon.
pub(super) fn account_day(log: &CloudTrail, account: usize, day: i32, out: &mut Vec<Event>) {
    let dice = &mut Dice::new(log.world.seed, Purpose::ActorDay(Log::CloudTrail, 1 << 23 | account, day));
    for region in (0..REGIONS.len()).filter(|region| REGIONS[*region].used_by.contains(&account)) {
        for system in SYSTEMS.iter().filter(|system| !system.home || region == HOME) {
            system_day(log, system, (account, region), day, dice, out);
        }
    }
    if !is_weekend(log.world.calendar.weekday(day)) && dice.chance(OWNER_SIGNS_IN) {
        owner_day(log, account, day, dice, out);
    }
}

fn system_day(
    log: &CloudTrail,
    system: &System,
    (account, region): (usize, usize),
    day: i32,
    dice: &mut Dice,
    out: &mut Vec<Event>,
) {
    let (world, estate) = (&log.world, &log.estate);
    let start = Ticks::from(day) * DAY;
    let mut minute = dice.real(0.0, system.period);
    while minute < 1440.0 {
        let role = system.role.rsplit('/').next().unwrap_or_default();
        let name =
            fill(system.session, &mut |gap| estate.thing(gap, account, region, dice).unwrap_or_default());
        let identity = Object::new().text("type", "AWSService").text("invokedBy", system.service);
        let session = plain(account, identity, role, &name);
        let request = Request {
            at: start + minutes(minute),
            call: call(system.call),
            session: &session,
            region,
            address: system.service,
            agent: system.service,
            direct: false,
            ending: Ending::Done,
        };
        out.push(event(world, estate, &request, dice));
        minute += system.period * dice.real(0.6, 1.4);
    }
}

/// The owner looks at the bill.
fn owner_day(log: &CloudTrail, account: usize, day: i32, dice: &mut Dice, out: &mut Vec<Event>) {
    let at = Ticks::from(day) * DAY + minutes(dice.real(540.0, 960.0));
    let session = root(&log.estate, account, &log.world.calendar.seconds(at));
    let seat = Seat {
        address: format!("198.18.0.{}", 10 + dice.below(3)),
        browser: "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:147.0) Gecko/20100101 Firefox/147.0"
            .to_owned(),
        system: String::new(),
        lag: 0,
    };
    let mut calls = Calls { log, out };
    calls.log_in(at, &session, &seat, (Some(true), false), dice);
    let look =
        [("ce:GetCostAndUsage", 2.0), ("organizations:ListAccounts", 1.0), ("iam:GetAccountSummary", 1.0)];
    calls.work_through(at + 5 * SECOND, &look, (&session, &seat, Tool::Console, GLOBAL), dice);
}
