//! How attacks and misuse are staged, whatever log tells of them. Each scenario comes in three intensities, from noisy
//! to nearly invisible.

use super::calendar::{HOUR, Ticks};
use super::company::Person;
use super::day::{Day, at_work, midnight};
use super::device::{Device, DeviceKind};
use super::dice::{Dice, Purpose};
use super::network::{self, Origin};
use super::run::{Event, Log, Mark, World};
use super::tables::{Browser, CITIES, City, FOREIGN, Platform, town};

/// One kind of attack.
pub(super) struct Scenario<L: Log> {
    /// As in `labels.csv`.
    pub(super) name: &'static str,
    /// Who can fall victim to it.
    pub(super) fits: fn(&Person) -> bool,
    pub(super) stage: for<'c, 'o> fn(&mut Plot<'c, 'o, L>, Intensity),
}

/// Everybody can fall victim to it.
pub(super) fn anyone(_: &Person) -> bool {
    true
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Intensity {
    Loud,
    Medium,
    Quiet,
}

pub(super) use Intensity::{Loud, Medium, Quiet};

impl Intensity {
    /// One of three values.
    pub(super) fn of<T>(self, loud: T, medium: T, quiet: T) -> T {
        match self {
            Loud => loud,
            Medium => medium,
            Quiet => quiet,
        }
    }
}

/// One staged attack.
pub(super) struct Incident {
    pub(super) scenario: &'static str,
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
pub(super) fn stage<L: Log>(log: &L, per_scenario: usize, window: Window) -> (Vec<Incident>, Vec<Event>) {
    let world = log.world();
    let mut victims = Victims::new(world, window);
    let mut incidents = Vec::new();
    let mut events = Vec::new();
    for number in 0..per_scenario {
        for scenario in L::SCENARIOS {
            let incident = incidents.len();
            let dice = Dice::new(world.seed, Purpose::Incident(incident));
            let person = victims.next(scenario.fits);
            let mut plot = Plot { log, world, person, dice, window, incident, out: &mut events };
            (scenario.stage)(&mut plot, [Loud, Medium, Quiet][number % 3]);
            incidents.push(Incident {
                scenario: scenario.name,
                name: format!("{}-{}", scenario.name, number + 1),
            });
        }
    }
    (incidents, events)
}

/// People with a history, in random order, and how often each has been a victim.
struct Victims<'w>(Vec<(&'w Person, usize)>);

impl<'w> Victims<'w> {
    fn new(world: &'w World, window: Window) -> Self {
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
        Self(order.iter().map(|index| (eligible[*index], 0)).collect())
    }

    /// Of those who fit, or of all if none does, the first who has been a victim least often.
    fn next(&mut self, fits: fn(&Person) -> bool) -> &'w Person {
        let least = |fits: fn(&Person) -> bool| {
            let fitting = self.0.iter().enumerate().filter(|(_, (person, _))| fits(person));
            fitting.min_by_key(|(_, (_, times))| *times).map(|(place, _)| place)
        };
        let place = least(fits).or_else(|| least(anyone)).unwrap_or_default();
        let (person, times) = &mut self.0[place];
        *times += 1;
        person
    }
}

pub(super) fn working_days<'w>(
    world: &'w World,
    person: &'w Person,
    window: Window,
) -> impl Iterator<Item = i32> + 'w {
    (window.first..=window.last).filter(|day| at_work(world, person, *day))
}

/// How much an intruder knows about the victim, and cares.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mimicry {
    /// Any machine, anywhere.
    Nothing,
    /// The victim's browser and operating system, anywhere.
    Machine,
    /// The victim's browser and operating system, in the victim's country.
    Country,
}

/// Somebody else's machine and network.
pub(super) struct Intruder {
    pub(super) device: Device,
    pub(super) origin: Origin,
}

/// An incident being staged.
pub(super) struct Plot<'c, 'o, L: Log> {
    pub(super) log: &'c L,
    pub(super) world: &'c World,
    pub(super) person: &'c Person,
    pub(super) dice: Dice,
    pub(super) window: Window,
    incident: usize,
    out: &'o mut Vec<Event>,
}

impl<'c, L: Log> Plot<'c, '_, L> {
    /// A working day of the victim that leaves room for `length` days.
    pub(super) fn day(&mut self, length: i32) -> i32 {
        let window = Window { last: (self.window.last - length + 1).max(self.window.first), ..self.window };
        let days: Vec<i32> = working_days(self.world, self.person, window).collect();
        if days.is_empty() { self.dice.days(window.first, window.last) } else { self.dice.pick(&days) }
    }

    /// The victim's local time.
    pub(super) fn local(&self, day: i32, hour: f64) -> Ticks {
        midnight(self.person, day) + (hour * HOUR as f64) as Ticks
    }

    /// Some hour of the victim's work.
    pub(super) fn working_hour(&mut self, part: f64) -> f64 {
        let rhythm = &self.person.rhythm;
        (rhythm.start + rhythm.length * (part + self.dice.real(-0.05, 0.05))) / 60.0
    }

    /// `count` times within `hours` of `start`, in order.
    pub(super) fn spread(&mut self, start: Ticks, hours: f64, count: usize) -> Vec<Ticks> {
        let mut times: Vec<Ticks> =
            (0..count).map(|_| start + (self.dice.real(0.0, hours) * HOUR as f64) as Ticks).collect();
        times.sort_unstable();
        times
    }

    pub(super) fn count(&mut self, (least, most): (i64, i64)) -> usize {
        self.dice.int(least, most) as usize
    }

    pub(super) fn intruder(&mut self, mimicry: Mimicry) -> Intruder {
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

    pub(super) fn victims_machine(&self) -> (Platform, Browser) {
        let laptop = self.person.devices.iter().find(|device| device.kind == DeviceKind::Laptop);
        laptop.map_or((Platform::Windows, Browser::Edge), |device| (device.platform, device.browsers[0].0))
    }

    pub(super) fn compatriot_town(&mut self) -> &'static City {
        let home = self.person.home;
        let near: Vec<&City> =
            CITIES.iter().filter(|city| city.country == home.country && city.name != home.name).collect();
        self.dice.pick(&near)
    }

    /// The device and place that the victim would be with at a time of a day, for misuse by the victim's own hand.
    pub(super) fn own_setting(&mut self, day: i32, at: Ticks) -> Option<(&'c Device, Origin)> {
        let Self { world, person, .. } = *self;
        let laptop = |device: &&Device| device.kind == DeviceKind::Laptop && device.in_use(day);
        let device = person.devices.iter().find(laptop)?;
        let origin = Day::new(world, person, day)?.origin_by(device, at, &mut self.dice);
        Some((device, origin))
    }

    /// Adds a record of the attack, which `user` seems to have caused.
    pub(super) fn add(&mut self, event: Event, user: &str) {
        let mark = Mark { incident: self.incident, user: user.to_owned() };
        self.out.push(Event { mark: Some(mark), ..event });
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
