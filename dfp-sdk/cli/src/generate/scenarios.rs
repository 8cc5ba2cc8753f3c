//! Attacks and misuse, labelled. Each scenario comes in three intensities, from noisy to nearly invisible.

use super::behaviour::{World, at_work, midnight, own_setting, program, proof_of, runs_on};
use super::calendar::{HOUR, MINUTE, SECOND, Ticks};
use super::company::Person;
use super::device::{Client, Device, DeviceKind, Program};
use super::dice::{Dice, Purpose};
use super::network::{self, Origin};
use super::sign_in::{Actor, Proof, SignIn};
use super::tables::{
    ACTIVE_SYNC, APPS, Browser, CITIES, City, DEPARTMENTS, FOREIGN, IMAP, LOCKED, Legacy, MFA_FAILED,
    MFA_REQUIRED, NO_CONSENT, NOT_ASSIGNED, Outcome, Platform, SMTP, SUCCESS, SUCCESS_BY_CLAIM,
    SUCCESS_BY_MFA, VALUABLE_APPS, WRONG_PASSWORD, app, town,
};

/// One kind of attack.
pub(super) struct Scenario {
    /// As in `labels.csv`.
    pub(super) name: &'static str,
    stage: fn(&mut Plot<'_, '_>, Intensity),
}

/// Every scenario.
pub(super) static SCENARIOS: &[Scenario] = &[
    Scenario { name: "stolen-credentials", stage: stolen_credentials },
    Scenario { name: "brute-force", stage: brute_force },
    Scenario { name: "legacy-client", stage: legacy_client },
    Scenario { name: "app-discovery", stage: app_discovery },
    Scenario { name: "peer-misuse", stage: peer_misuse },
    Scenario { name: "volume-surge", stage: volume_surge },
    Scenario { name: "low-and-slow", stage: low_and_slow },
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Intensity {
    Loud,
    Medium,
    Quiet,
}

use Intensity::{Loud, Medium, Quiet};

impl Intensity {
    /// One of three values.
    fn of<T>(self, loud: T, medium: T, quiet: T) -> T {
        match self {
            Loud => loud,
            Medium => medium,
            Quiet => quiet,
        }
    }
}

/// One staged attack.
pub(super) struct Incident {
    pub(super) scenario: &'static Scenario,
    /// `stolen-credentials-1`.
    pub(super) name: String,
}

/// The days that attacks fall on.
#[derive(Clone, Copy)]
pub(super) struct Window {
    pub(super) first: i32,
    pub(super) last: i32,
}

impl Window {
    /// The last `scenario_days` of the span, at most its second half; without the days at both ends when there are
    /// enough others, because local days reach over midnight UTC.
    pub(super) fn new(days: i32, scenario_days: i32) -> Self {
        let length = scenario_days.clamp(1, (days / 2).max(1));
        let margin = i32::from(length > 3);
        Self { first: days - length + margin, last: days - 1 - margin }
    }
}

/// Stages `per_scenario` incidents of every scenario.
pub(super) fn stage(world: &World, per_scenario: usize, window: Window) -> (Vec<Incident>, Vec<SignIn<'_>>) {
    let victims = victims(world, per_scenario * SCENARIOS.len(), window);
    let mut incidents = Vec::new();
    let mut sign_ins = Vec::new();
    for number in 0..per_scenario {
        for scenario in SCENARIOS {
            let incident = incidents.len();
            let dice = Dice::new(world.seed, Purpose::Incident(incident));
            let mut plot =
                Plot { world, person: victims[incident], dice, window, incident, out: &mut sign_ins };
            (scenario.stage)(&mut plot, [Loud, Medium, Quiet][number % 3]);
            incidents.push(Incident { scenario, name: format!("{}-{}", scenario.name, number + 1) });
        }
    }
    (incidents, sign_ins)
}

/// People with a history, each once as long as there are enough.
fn victims(world: &World, count: usize, window: Window) -> Vec<&Person> {
    let dice = &mut Dice::new(world.seed, Purpose::Victims);
    let people = &world.company.people;
    let history = (window.first / 2).min(30);
    let known = |person: &&Person| {
        let whole = person.employed(window.first - history) && person.employed(window.last);
        whole && !person.rhythm.rare && working_days(world, person, window).count() > 0
    };
    let eligible: Vec<&Person> = people.iter().filter(known).collect();
    let eligible = if eligible.is_empty() { people.iter().collect() } else { eligible };
    let order = dice.sample(eligible.len(), eligible.len());
    order.iter().cycle().take(count).map(|index| eligible[*index]).collect()
}

fn working_days<'w>(world: &'w World, person: &'w Person, window: Window) -> impl Iterator<Item = i32> + 'w {
    (window.first..=window.last).filter(|day| at_work(world, person, *day))
}

/// How much an intruder knows about the victim, and cares.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mimicry {
    /// Any machine, anywhere.
    Nothing,
    /// The victim's browser and operating system, anywhere.
    Machine,
    /// The victim's browser and operating system, in the victim's country.
    Country,
}

/// Somebody else's machine and network.
struct Intruder {
    device: Device,
    origin: Origin,
}

/// An incident being staged.
struct Plot<'c, 'o> {
    world: &'c World,
    person: &'c Person,
    dice: Dice,
    window: Window,
    incident: usize,
    out: &'o mut Vec<SignIn<'c>>,
}

impl Plot<'_, '_> {
    /// A working day of the victim that leaves room for `length` days.
    fn day(&mut self, length: i32) -> i32 {
        let window = Window { last: (self.window.last - length + 1).max(self.window.first), ..self.window };
        let days: Vec<i32> = working_days(self.world, self.person, window).collect();
        if days.is_empty() { self.dice.days(window.first, window.last) } else { self.dice.pick(&days) }
    }

    /// The victim's local time.
    fn local(&self, day: i32, hour: f64) -> Ticks {
        midnight(self.person, day) + (hour * HOUR as f64) as Ticks
    }

    /// Some hour of the victim's work.
    fn working_hour(&mut self, part: f64) -> f64 {
        let rhythm = &self.person.rhythm;
        (rhythm.start + rhythm.length * (part + self.dice.real(-0.05, 0.05))) / 60.0
    }

    /// `count` times within `hours` of `start`, in order.
    fn spread(&mut self, start: Ticks, hours: f64, count: usize) -> Vec<Ticks> {
        let mut times: Vec<Ticks> =
            (0..count).map(|_| start + (self.dice.real(0.0, hours) * HOUR as f64) as Ticks).collect();
        times.sort_unstable();
        times
    }

    fn count(&mut self, (least, most): (i64, i64)) -> usize {
        self.dice.int(least, most) as usize
    }

    fn intruder(&mut self, mimicry: Mimicry) -> Intruder {
        let (platform, browser) = match mimicry {
            Mimicry::Nothing => self.dice.pick(&[
                (Platform::Windows, Browser::Chrome),
                (Platform::Windows, Browser::Firefox),
                (Platform::Linux, Browser::Firefox),
                (Platform::Linux, Browser::Chrome),
                (Platform::Mac, Browser::Chrome),
            ]),
            Mimicry::Machine | Mimicry::Country => self.victims_machine(),
        };
        let city = match mimicry {
            Mimicry::Country => self.compatriot_town(),
            Mimicry::Nothing | Mimicry::Machine => town(self.dice.pick(FOREIGN)),
        };
        let device = Device::unknown(&mut self.dice, platform, browser, self.window.last);
        let stay = self.dice.bits();
        Intruder { device, origin: network::hotel(city, stay) }
    }

    fn victims_machine(&self) -> (Platform, Browser) {
        let laptop = self.person.devices.iter().find(|device| device.kind == DeviceKind::Laptop);
        laptop.map_or((Platform::Windows, Browser::Edge), |device| (device.platform, device.browsers[0].0))
    }

    fn compatriot_town(&mut self) -> &'static City {
        let home = self.person.home;
        let near: Vec<&City> =
            CITIES.iter().filter(|city| city.country == home.country && city.name != home.name).collect();
        self.dice.pick(&near)
    }

    /// One of the victim's everyday apps that runs in a browser.
    fn everyday_app(&mut self) -> usize {
        let habits = self.person.habits_on(self.window.first).filter(|habit| is_in_browser(habit.app));
        let chosen = self.dice.weighted(habits.clone().map(|habit| habit.weight));
        habits.map(|habit| habit.app).nth(chosen).unwrap_or_default()
    }

    fn valuable_app(&mut self) -> usize {
        app(self.dice.pick(VALUABLE_APPS))
    }

    /// Different apps that the victim has no habit of using.
    fn unused_apps(&mut self, count: usize) -> Vec<usize> {
        let used = |app: usize| self.person.habits.iter().any(|habit| habit.app == app);
        let unused: Vec<usize> = (0..APPS.len()).filter(|app| is_in_browser(*app) && !used(*app)).collect();
        self.dice.sample(unused.len(), count).into_iter().map(|index| unused[index]).collect()
    }

    /// A sign-in from the intruder's machine.
    fn intrude(&mut self, at: Ticks, app: usize, intruder: &Intruder, outcome: &'static Outcome) {
        let program = program(&intruder.device, app, &mut self.dice);
        let client = self.client(&intruder.device, program, at);
        let proof = if outcome == &SUCCESS_BY_MFA { Proof::SecondFactor } else { proof_of(outcome) };
        self.add(at, app, client, intruder.origin.clone(), outcome, proof);
    }

    /// A sign-in from the intruder's mail program.
    fn intrude_with(
        &mut self,
        legacy: &'static Legacy,
        at: Ticks,
        intruder: &Intruder,
        outcome: &'static Outcome,
    ) {
        let client = self.client(&intruder.device, Program::Legacy(legacy), at);
        let mail = app("Office 365 Exchange Online");
        self.add(at, mail, client, intruder.origin.clone(), outcome, Proof::Password);
    }

    /// A sign-in from the victim's own laptop, wherever it is that day.
    fn own_hand(&mut self, at: Ticks, day: i32, app: usize, outcome: &'static Outcome) {
        let Some((device, origin)) = own_setting(self.world, self.person, day, at, &mut self.dice) else {
            return;
        };
        let app = if runs_on(app, device) { app } else { self.everyday_app() };
        let program = program(device, app, &mut self.dice);
        let client = self.client(device, program, at);
        self.add(at, app, client, origin, outcome, Proof::Claim);
    }

    fn client(&self, device: &Device, program: Program, at: Ticks) -> Client {
        let day = super::calendar::day_of(at);
        device.client(program, day, self.world.calendar.epoch_day(day))
    }

    fn add(
        &mut self,
        at: Ticks,
        app: usize,
        client: Client,
        origin: Origin,
        outcome: &'static Outcome,
        proof: Proof,
    ) {
        let actor = Actor::Person(self.person);
        let sign_in = SignIn::new(&mut self.dice, actor, at, app, client, origin);
        self.out.push(SignIn { incident: Some(self.incident), ..sign_in.ending(outcome, proof) });
    }
}

fn is_in_browser(app: usize) -> bool {
    use super::tables::Reach;
    matches!(APPS[app].reach, Reach::Web | Reach::Suite)
}

/// Somebody has the password, or a token, and looks around.
fn stolen_credentials(plot: &mut Plot<'_, '_>, intensity: Intensity) {
    let mimicry = intensity.of(Mimicry::Nothing, Mimicry::Machine, Mimicry::Country);
    let count = plot.count(intensity.of((22, 40), (10, 20), (4, 9)));
    let hours = intensity.of(30.0, 6.0, 7.0);
    let everyday = intensity.of(0.3, 0.6, 0.85);
    let day = plot.day(2);
    let hour = match intensity {
        Loud => plot.dice.real(0.5, 5.0),
        Medium => plot.dice.real(15.0, 22.0),
        Quiet => plot.working_hour(0.1),
    };
    let intruder = plot.intruder(mimicry);
    let start = plot.local(day, hour);
    if intensity == Loud {
        push_for_approval(plot, start, &intruder);
    }
    for at in plot.spread(start + 3 * MINUTE, hours, count) {
        let app = if plot.dice.chance(everyday) { plot.everyday_app() } else { plot.valuable_app() };
        plot.intrude(at, app, &intruder, &SUCCESS_BY_CLAIM);
    }
}

/// Asks for a second factor until the victim gives in.
fn push_for_approval(plot: &mut Plot<'_, '_>, start: Ticks, intruder: &Intruder) {
    let mail = app("OfficeHome");
    let mut at = start;
    for _ in 0..plot.dice.int(1, 4) {
        plot.intrude(at, mail, intruder, &MFA_REQUIRED);
        plot.intrude(at + 31 * SECOND, mail, intruder, &MFA_FAILED);
        at += plot.dice.int(40 * SECOND, 75 * SECOND);
    }
    plot.intrude(at, mail, intruder, &SUCCESS_BY_MFA);
}

/// Guesses until one is right, then looks around.
fn brute_force(plot: &mut Plot<'_, '_>, intensity: Intensity) {
    let mimicry = intensity.of(Mimicry::Nothing, Mimicry::Machine, Mimicry::Country);
    let guesses = plot.count(intensity.of((36, 50), (16, 28), (6, 10)));
    let hours = intensity.of(0.3, 2.5, 8.0);
    let lock = intensity.of(0.3, 0.1, 0.0);
    let day = plot.day(2);
    let intruder = plot.intruder(mimicry);
    let hour = if intensity == Quiet { plot.working_hour(0.05) } else { plot.dice.real(0.0, 23.0) };
    let target = if intensity == Quiet { app("Office 365 Exchange Online") } else { plot.valuable_app() };
    let times = plot.local(day, hour);
    let times = plot.spread(times, hours, guesses);
    for (number, at) in times.iter().enumerate() {
        let locked = number > 9 && plot.dice.chance(lock);
        plot.intrude(*at, target, &intruder, if locked { &LOCKED } else { &WRONG_PASSWORD });
    }
    let in_at = times.last().copied().unwrap_or_default() + plot.dice.int(15 * SECOND, 10 * MINUTE);
    plot.intrude(in_at, target, &intruder, &SUCCESS);
    let looks = plot.count(intensity.of((4, 8), (2, 5), (1, 3)));
    for at in plot.spread(in_at + MINUTE, 1.5, looks) {
        let app = if plot.dice.chance(0.5) { plot.everyday_app() } else { plot.valuable_app() };
        plot.intrude(at, app, &intruder, &SUCCESS_BY_CLAIM);
    }
}

/// Reads or sends mail with a program that knows no second factor.
fn legacy_client(plot: &mut Plot<'_, '_>, intensity: Intensity) {
    let mimicry = intensity.of(Mimicry::Nothing, Mimicry::Country, Mimicry::Country);
    let legacy = intensity.of(&IMAP, &ACTIVE_SYNC, &SMTP);
    let count = plot.count(intensity.of((24, 45), (10, 18), (3, 7)));
    let hours = intensity.of(3.0, 14.0, 60.0);
    let day = plot.day(3);
    let intruder = plot.intruder(mimicry);
    let hour = plot.dice.real(6.0, 20.0);
    let start = plot.local(day, hour);
    let failures = if intensity == Quiet { 0 } else { plot.dice.below(4) };
    for (number, at) in plot.spread(start, hours, count).into_iter().enumerate() {
        let outcome = if number < failures { &WRONG_PASSWORD } else { &SUCCESS };
        plot.intrude_with(legacy, at, &intruder, outcome);
    }
}

/// Tries one app after the other to see what the account opens.
fn app_discovery(plot: &mut Plot<'_, '_>, intensity: Intensity) {
    let count = plot.count(intensity.of((20, 32), (12, 18), (6, 9)));
    let hours = intensity.of(0.6, 1.5, 4.0);
    let refused = intensity.of(0.3, 0.25, 0.15);
    let day = plot.day(1);
    let hour = if intensity == Loud { plot.dice.real(0.0, 23.0) } else { plot.working_hour(0.4) };
    let intruder = plot.intruder(intensity.of(Mimicry::Machine, Mimicry::Country, Mimicry::Country));
    let apps = plot.unused_apps(count);
    let start = plot.local(day, hour);
    for (at, app) in plot.spread(start, hours, count).into_iter().zip(apps) {
        let outcome = match plot.dice.unit() {
            roll if roll < refused => &NOT_ASSIGNED,
            roll if roll < refused * 1.3 => &NO_CONSENT,
            _ => &SUCCESS_BY_CLAIM,
        };
        if intensity == Quiet {
            plot.own_hand(at, day, app, outcome);
        } else {
            plot.intrude(at, app, &intruder, outcome);
        }
    }
}

/// The victim's own hand, own machine, usual hours, but another department's tools.
fn peer_misuse(plot: &mut Plot<'_, '_>, intensity: Intensity) {
    let per_day = intensity.of((8, 12), (3, 5), (1, 2));
    let days = intensity.of(2, 3, 4);
    let tools = other_departments_tools(plot);
    let first = plot.day(days + 1);
    let last = plot.window.last;
    let days: Vec<i32> =
        working_days(plot.world, plot.person, Window { first, last }).take(days as usize).collect();
    for day in if days.is_empty() { vec![first] } else { days } {
        let hour = plot.working_hour(intensity.of(0.75, 0.3, 0.2));
        let start = plot.local(day, hour);
        let count = plot.count(per_day).max(if intensity == Quiet { 2 } else { 3 });
        for at in plot.spread(start, intensity.of(4.0, 4.0, 5.0), count) {
            let tool = plot.dice.pick(&tools);
            plot.own_hand(at, day, tool, &SUCCESS_BY_CLAIM);
        }
    }
}

/// Browser apps of one other department that the victim has no habit of using.
fn other_departments_tools(plot: &mut Plot<'_, '_>) -> Vec<usize> {
    let used = |app: usize| plot.person.habits.iter().any(|habit| habit.app == app);
    let unused = |department: &super::tables::Department| -> Vec<usize> {
        department
            .apps
            .iter()
            .map(|(name, _)| app(name))
            .filter(|app| is_in_browser(*app) && !used(*app))
            .collect()
    };
    let others = DEPARTMENTS.iter().filter(|department| department.name != plot.person.department.name);
    let choices: Vec<Vec<usize>> = others.map(unused).filter(|tools| tools.len() > 1).collect();
    let chosen = plot.dice.below(choices.len());
    choices.into_iter().nth(chosen).unwrap_or_default()
}

/// The usual apps from the usual machine, far too often.
fn volume_surge(plot: &mut Plot<'_, '_>, intensity: Intensity) {
    let count = plot.count(intensity.of((50, 60), (36, 46), (24, 32)));
    let hours = intensity.of(1.2, 3.5, 8.0);
    let day = plot.day(1);
    let hour = plot.working_hour(intensity.of(0.85, 0.5, 0.0));
    let files = app("Office 365 SharePoint Online");
    let start = plot.local(day, hour);
    for at in plot.spread(start, hours, count) {
        let target = if plot.dice.chance(0.6) { files } else { plot.everyday_app() };
        plot.own_hand(at, day, target, &SUCCESS_BY_CLAIM);
    }
}

/// A visit or two a day from a stranger's machine, for as long as nobody notices.
fn low_and_slow(plot: &mut Plot<'_, '_>, intensity: Intensity) {
    let intruder = plot.intruder(intensity.of(Mimicry::Nothing, Mimicry::Machine, Mimicry::Country));
    let step = intensity.of(1, 1, 2);
    let per_day = intensity.of((1, 3), (1, 1), (1, 1));
    let days: Vec<i32> = (plot.window.first..=plot.window.last).step_by(step).collect();
    // In a short window, each day has to do for several.
    let least = 3_usize.div_ceil(days.len().max(1));
    for day in days {
        let hour = if intensity == Loud { plot.dice.real(1.0, 22.0) } else { plot.working_hour(0.6) };
        let count = plot.count(per_day).max(least);
        let start = plot.local(day, hour);
        for at in plot.spread(start, 1.0, count) {
            let app = if intensity == Quiet { app("One Outlook Web") } else { plot.everyday_app() };
            plot.intrude(at, app, &intruder, &SUCCESS_BY_CLAIM);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attacks_stay_in_the_second_half_of_a_short_span() {
        let window = Window::new(10, 15);
        assert_eq!((window.first, window.last), (6, 8));
        let window = Window::new(75, 15);
        assert_eq!((window.first, window.last), (61, 73));
        let window = Window::new(1, 15);
        assert_eq!((window.first, window.last), (0, 0));
    }
}
