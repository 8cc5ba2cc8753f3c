//! Attacks on the second factor, labelled.

use super::super::calendar::{HOUR, MINUTE, SECOND, Ticks, day_of};
use super::super::day::Day;
use super::super::device::{Client, Device, DeviceKind, Program};
use super::super::network::{self, Origin};
use super::super::plot::{Intensity, Loud, Medium, Mimicry, Plot, Quiet, Scenario, anyone};
use super::super::tables::{FOREIGN, town};
use super::Duo;
use super::behaviour::account;
use super::record::{Approver, Asker, Authentication, event};
use super::tables::{
    ANOMALOUS, APPROVED, BYPASSED, CANCELLED, ENROLLED, Ending, FRAUD, INTEGRATIONS, LOCKED_OUT, MISTAKE,
    NO_PERMISSION, NO_RESPONSE, REMEMBERED, Reach,
};

const fn scenario(
    name: &'static str,
    stage: for<'c, 'o> fn(&mut Plot<'c, 'o, Duo>, Intensity),
) -> Scenario<Duo> {
    Scenario { name, fits: anyone, stage }
}

/// Every scenario.
pub(super) static SCENARIOS: &[Scenario<Duo>] = &[
    scenario("push-fatigue", push_fatigue),
    scenario("phone-enrolment", phone_enrolment),
    scenario("bypass-misuse", bypass_misuse),
    scenario("impossible-place", impossible_place),
    scenario("unused-application", unused_application),
    scenario("off-hours-surge", off_hours_surge),
];

/// Somebody at a device, and the phone that answers.
struct Seat {
    kind: DeviceKind,
    client: Client,
    origin: Origin,
}

impl Plot<'_, '_, Duo> {
    fn stranger(&mut self, at: Ticks, mimicry: Mimicry) -> Seat {
        let intruder = self.intruder(mimicry);
        self.seat(&intruder.device, intruder.origin, at)
    }

    fn seat(&mut self, device: &Device, origin: Origin, at: Ticks) -> Seat {
        let day = day_of(at);
        let program = Program::Browser(device.browser(&mut self.dice));
        let client = device.client(program, day, self.world.calendar.epoch_day(day));
        Seat { kind: device.kind, client, origin }
    }

    /// The victim's own laptop.
    fn own_seat(&mut self, day: i32, at: Ticks) -> Seat {
        match self.own_setting(day, at) {
            Some((device, origin)) => self.seat(device, origin, at),
            None => self.stranger(at, Mimicry::Country),
        }
    }

    /// Where the victim's phone is.
    fn phone(&mut self, day: i32, at: Ticks) -> Origin {
        let Some(lived) = Day::new(self.world, self.person, day) else {
            return network::home(self.person, day);
        };
        lived.origin_by(lived.owned(DeviceKind::Phone), at, &mut self.dice)
    }

    /// One of the victim's applications, in a browser if any is.
    fn usual(&mut self) -> usize {
        let habits = &self.log.profiles[self.person.index].habits;
        let web = habits.iter().filter(|(place, ..)| INTEGRATIONS[*place].reach == Reach::Web);
        let chosen = self.dice.weighted(web.clone().map(|(_, weight, ..)| *weight));
        web.map(|(place, ..)| *place).nth(chosen).unwrap_or_default()
    }

    fn unused(&mut self, count: usize) -> Vec<usize> {
        let habits = &self.log.profiles[self.person.index].habits;
        let used = |place: usize| habits.iter().any(|(used, ..)| *used == place);
        let unused: Vec<usize> = (0..INTEGRATIONS.len()).filter(|place| !used(*place)).collect();
        self.dice.sample(unused.len(), count).into_iter().map(|place| unused[place]).collect()
    }

    /// An authentication approved, or not, by the phone of that name and place.
    fn add_one(
        &mut self,
        at: Ticks,
        seat: &Seat,
        application: Option<usize>,
        phone: Option<(&str, &Origin)>,
        (factor, ending): (&str, Ending),
    ) {
        let (person, profile) = (self.person, &self.log.profiles[self.person.index]);
        let integration = application.map(|place| &INTEGRATIONS[place]);
        let authentication = Authentication {
            at,
            account: account(person, profile, integration),
            integration,
            asker: Some(Asker { kind: seat.kind, client: &seat.client, origin: &seat.origin }),
            approver: phone.map(|(name, origin)| Approver { name, origin }),
            factor,
            ending,
            enrolment: ending == ENROLLED,
        };
        let event = event(self.world, &authentication, &mut self.dice);
        self.add(event, profile.name(person, integration));
    }

    /// A push to the victim's phone.
    fn push(&mut self, (day, at): (i32, Ticks), seat: &Seat, application: usize, ending: Ending) {
        let phone = self.phone(day, at);
        let name = self.log.profiles[self.person.index].phone(day).to_owned();
        self.add_one(at, seat, Some(application), Some((&name, &phone)), ("duo_push", ending));
    }
}

/// Pushes until the victim gives in.
fn push_fatigue(plot: &mut Plot<'_, '_, Duo>, intensity: Intensity) {
    let day = plot.day(1);
    let hour = match intensity {
        Loud => plot.dice.real(0.0, 5.0),
        Medium => plot.dice.real(19.0, 23.5),
        Quiet => plot.working_hour(0.4),
    };
    let start = plot.local(day, hour);
    let seat = plot.stranger(start, intensity.of(Mimicry::Nothing, Mimicry::Machine, Mimicry::Country));
    let application = plot.usual();
    let pushes = plot.count(intensity.of((25, 45), (9, 16), (3, 5)));
    let times = plot.spread(start, intensity.of(0.7, 1.0, 3.0), pushes);
    for at in &times {
        let ending = match plot.dice.unit() {
            roll if roll < 0.5 => NO_RESPONSE,
            roll if roll < 0.72 => CANCELLED,
            roll if roll < 0.85 => MISTAKE,
            roll if roll < 0.92 => ANOMALOUS,
            _ => FRAUD,
        };
        plot.push((day, *at), &seat, application, ending);
    }
    let last = times.last().copied().unwrap_or(start) + plot.dice.int(20 * SECOND, 3 * MINUTE);
    if intensity == Loud && plot.dice.chance(0.3) {
        return plot.push((day, last), &seat, application, LOCKED_OUT);
    }
    plot.push((day, last), &seat, application, APPROVED);
    for at in plot.spread(last + MINUTE, 2.0, intensity.of(8, 5, 3)) {
        let application = plot.usual();
        plot.add_one(at, &seat, Some(application), None, ("remembered_device", REMEMBERED));
    }
}

/// Somebody else's phone becomes the victim's, and then the victim seems to be far away.
fn phone_enrolment(plot: &mut Plot<'_, '_, Duo>, intensity: Intensity) {
    let days = intensity.of(1, 2, 3);
    let day = plot.day(days);
    let hour = if intensity == Loud { plot.dice.real(1.0, 6.0) } else { plot.working_hour(0.5) };
    let start = plot.local(day, hour);
    let seat = plot.stranger(start, intensity.of(Mimicry::Nothing, Mimicry::Machine, Mimicry::Country));
    plot.add_one(start, &seat, None, None, ("not_available", ENROLLED));
    let origin = match intensity {
        Quiet => seat.origin.clone(),
        _ => network::mobile(&[seat.origin.city.map_or("Lagos", |city| city.name)], &mut plot.dice),
    };
    let name = plot.dice.pick(&["Android", "iPhone", "Generic Smartphone", "Pixel"]);
    let count = plot.count(intensity.of((12, 20), (7, 11), (4, 6)));
    for at in plot.spread(start + 3 * MINUTE, f64::from(days) * 9.0, count) {
        let unused = if plot.dice.chance(0.3) { plot.unused(1).first().copied() } else { None };
        let application = unused.unwrap_or_else(|| plot.usual());
        plot.add_one(at, &seat, Some(application), Some((name, &origin)), ("duo_push", APPROVED));
    }
}

/// No second factor is asked for: the account passes by, or a copied cookie stands for a remembered browser.
fn bypass_misuse(plot: &mut Plot<'_, '_, Duo>, intensity: Intensity) {
    let day = plot.day(1);
    let hour = if intensity == Quiet { plot.working_hour(0.5) } else { plot.dice.real(0.0, 23.0) };
    let start = plot.local(day, hour);
    let seat = plot.stranger(start, intensity.of(Mimicry::Nothing, Mimicry::Machine, Mimicry::Country));
    let passing = intensity.of(
        ("not_available", BYPASSED),
        ("bypass_code", BYPASSED),
        ("remembered_device", REMEMBERED),
    );
    let count = plot.count(intensity.of((15, 25), (7, 12), (4, 7)));
    for at in plot.spread(start, intensity.of(2.0, 5.0, 8.0), count) {
        let application = plot.usual();
        plot.add_one(at, &seat, Some(application), None, passing);
    }
}

/// The victim works, and is somewhere else at the same time.
fn impossible_place(plot: &mut Plot<'_, '_, Duo>, intensity: Intensity) {
    let day = plot.day(1);
    let hour = plot.working_hour(0.4);
    let start = plot.local(day, hour);
    let mimicry = intensity.of(Mimicry::Nothing, Mimicry::Machine, Mimicry::Machine);
    let mut seat = plot.stranger(start, mimicry);
    if intensity == Quiet {
        // Near enough to be a trip, if the victim were not at the desk.
        let stay = plot.dice.bits();
        let near = plot.dice.pick(&["Amsterdam", "Dublin", "Paris", "London", "Frankfurt Am Main"]);
        seat.origin = network::hotel(town(near), stay);
    }
    let count = plot.count(intensity.of((10, 16), (6, 9), (3, 5)));
    for at in plot.spread(start, intensity.of(1.0, 3.0, 5.0), count) {
        if intensity == Loud && plot.dice.chance(0.4) {
            let stay = plot.dice.bits();
            seat.origin = network::hotel(town(plot.dice.pick(FOREIGN)), stay);
        }
        let application = plot.usual();
        plot.push((day, at), &seat, application, APPROVED);
    }
}

/// Applications that the victim has no business with, one after the other.
fn unused_application(plot: &mut Plot<'_, '_, Duo>, intensity: Intensity) {
    let day = plot.day(1);
    let hour = if intensity == Loud { plot.dice.real(0.0, 23.0) } else { plot.working_hour(0.6) };
    let start = plot.local(day, hour);
    let seat = match intensity {
        Loud => plot.stranger(start, Mimicry::Machine),
        Medium => plot.stranger(start, Mimicry::Country),
        Quiet => plot.own_seat(day, start),
    };
    let applications = plot.unused(intensity.of(9, 5, 3));
    let count = plot.count(intensity.of((14, 20), (7, 10), (3, 5)));
    for at in plot.spread(start, intensity.of(1.0, 2.0, 6.0), count) {
        let application = plot.dice.pick(&applications);
        let ending = if plot.dice.chance(intensity.of(0.35, 0.2, 0.1)) { NO_PERMISSION } else { APPROVED };
        plot.push((day, at), &seat, application, ending);
    }
}

/// The usual applications from the usual machine, far too often and at the wrong time.
fn off_hours_surge(plot: &mut Plot<'_, '_, Duo>, intensity: Intensity) {
    let day = plot.day(1);
    let end = (plot.person.rhythm.start + plot.person.rhythm.length + plot.person.rhythm.rotation) / 60.0;
    let hour = intensity.of(end + 5.0, end + 3.0, end + 1.0);
    let start = plot.local(day, hour);
    let count = plot.count(intensity.of((30, 45), (18, 25), (10, 14)));
    for at in plot.spread(start, intensity.of(1.0, 2.0, 3.0), count) {
        let seat = plot.own_seat(day, at.min(start + 4 * HOUR));
        let application = plot.usual();
        plot.push((day, at), &seat, application, APPROVED);
    }
}
