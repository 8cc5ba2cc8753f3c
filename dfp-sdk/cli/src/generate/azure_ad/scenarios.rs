//! Attacks and misuse, labelled. Each scenario comes in three intensities, from noisy to nearly invisible.

use super::super::calendar::{MINUTE, SECOND, Ticks, day_of};
use super::super::device::{Client, Device, Program};
use super::super::network::Origin;
use super::super::plot::{
    Intensity, Intruder, Loud, Medium, Mimicry, Plot, Quiet, Scenario, Window, anyone, working_days,
};
use super::super::tables::{
    ACTIVE_SYNC, APPS, DEPARTMENTS, Department, IMAP, LOCKED, Legacy, MFA_FAILED, MFA_REQUIRED, NO_CONSENT,
    NOT_ASSIGNED, Outcome, Reach, SMTP, SUCCESS, SUCCESS_BY_CLAIM, SUCCESS_BY_MFA, VALUABLE_APPS,
    WRONG_PASSWORD, app,
};
use super::AzureAd;
use super::behaviour::{program, proof_of, runs_on};
use super::record::event;
use super::sign_in::{Actor, Proof, SignIn};

/// Every scenario.
pub(super) static SCENARIOS: &[Scenario<AzureAd>] = &[
    Scenario { name: "stolen-credentials", fits: anyone, stage: stolen_credentials },
    Scenario { name: "brute-force", fits: anyone, stage: brute_force },
    Scenario { name: "legacy-client", fits: anyone, stage: legacy_client },
    Scenario { name: "app-discovery", fits: anyone, stage: app_discovery },
    Scenario { name: "peer-misuse", fits: anyone, stage: peer_misuse },
    Scenario { name: "volume-surge", fits: anyone, stage: volume_surge },
    Scenario { name: "low-and-slow", fits: anyone, stage: low_and_slow },
];

impl Plot<'_, '_, AzureAd> {
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
        self.sign_in(at, app, client, intruder.origin.clone(), outcome, proof);
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
        self.sign_in(at, mail, client, intruder.origin.clone(), outcome, Proof::Password);
    }

    /// A sign-in from the victim's own laptop, wherever it is that day.
    fn own_hand(&mut self, at: Ticks, day: i32, app: usize, outcome: &'static Outcome) {
        let Some((device, origin)) = self.own_setting(day, at) else {
            return;
        };
        let app = if runs_on(app, device) { app } else { self.everyday_app() };
        let program = program(device, app, &mut self.dice);
        let client = self.client(device, program, at);
        self.sign_in(at, app, client, origin, outcome, Proof::Claim);
    }

    fn client(&self, device: &Device, program: Program, at: Ticks) -> Client {
        let day = day_of(at);
        device.client(program, day, self.world.calendar.epoch_day(day))
    }

    fn sign_in(
        &mut self,
        at: Ticks,
        app: usize,
        client: Client,
        origin: Origin,
        outcome: &'static Outcome,
        proof: Proof,
    ) {
        let actor = Actor::Person(self.person);
        let sign_in = SignIn::new(&mut self.dice, actor, at, app, client, origin).ending(outcome, proof);
        self.add(event(self.world, &sign_in), &self.person.upn);
    }
}

fn is_in_browser(app: usize) -> bool {
    matches!(APPS[app].reach, Reach::Web | Reach::Suite)
}

/// Somebody has the password, or a token, and looks around.
fn stolen_credentials(plot: &mut Plot<'_, '_, AzureAd>, intensity: Intensity) {
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
fn push_for_approval(plot: &mut Plot<'_, '_, AzureAd>, start: Ticks, intruder: &Intruder) {
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
fn brute_force(plot: &mut Plot<'_, '_, AzureAd>, intensity: Intensity) {
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
fn legacy_client(plot: &mut Plot<'_, '_, AzureAd>, intensity: Intensity) {
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
fn app_discovery(plot: &mut Plot<'_, '_, AzureAd>, intensity: Intensity) {
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
fn peer_misuse(plot: &mut Plot<'_, '_, AzureAd>, intensity: Intensity) {
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
fn other_departments_tools(plot: &mut Plot<'_, '_, AzureAd>) -> Vec<usize> {
    let used = |app: usize| plot.person.habits.iter().any(|habit| habit.app == app);
    let unused = |department: &Department| -> Vec<usize> {
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
fn volume_surge(plot: &mut Plot<'_, '_, AzureAd>, intensity: Intensity) {
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
fn low_and_slow(plot: &mut Plot<'_, '_, AzureAd>, intensity: Intensity) {
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
