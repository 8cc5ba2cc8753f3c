//! A day in a person's life, whatever is logged of it: where they are, when they work, what they work on.

use super::calendar::{DAY, MINUTE, Ticks, is_weekend};
use super::company::{Person, Stay};
use super::device::{Client, Device, DeviceKind, Program};
use super::dice::{Dice, Purpose};
use super::network::{self, Origin};
use super::run::World;
use super::tables::City;

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
    Day::new(world, person, day).is_some_and(|day| day.works())
}

/// Local midnight that starts `day` where the person lives.
pub(super) fn midnight(person: &Person, day: i32) -> Ticks {
    Ticks::from(day) * DAY - Ticks::from(person.home.offset) * MINUTE
}

/// A day of a person who is with the company.
pub(super) struct Day<'c> {
    pub(super) world: &'c World,
    pub(super) person: &'c Person,
    pub(super) date: i32,
    pub(super) whereabouts: Whereabouts,
    pub(super) dice: Dice,
}

impl<'c> Day<'c> {
    pub(super) fn new(world: &'c World, person: &'c Person, day: i32) -> Option<Self> {
        let mut dice = Dice::new(world.seed, Purpose::PersonDay(person.index, day));
        let whereabouts = whereabouts(world, person, day, &mut dice);
        person.employed(day).then_some(Self { world, person, date: day, whereabouts, dice })
    }

    /// The same day with chances of its own: what another log tells of it.
    pub(super) fn with(self, purpose: Purpose) -> Self {
        Self { dice: Dice::new(self.world.seed, purpose), ..self }
    }

    pub(super) fn works(&self) -> bool {
        !matches!(self.whereabouts, Whereabouts::Off(_))
    }

    /// How much happens on the day: as usual for the person, by the weekday, and now and then it is hectic.
    pub(super) fn volume(&mut self, usual: f64) -> f64 {
        let rhythm = &self.person.rhythm;
        let weekday = self.world.calendar.weekday(self.date);
        let hectic = if self.dice.chance(0.05) { self.dice.real(1.6, 3.2) } else { 1.0 };
        let whereabouts = match self.whereabouts {
            Whereabouts::Travelling(..) => 0.65,
            _ if is_weekend(weekday) && rhythm.works[weekday] < 0.5 => 0.35,
            _ => 1.0,
        };
        usual * rhythm.pace[weekday] * self.dice.real(0.6, 1.4) * hectic * whereabouts
    }

    /// When work starts.
    pub(super) fn start(&mut self) -> Ticks {
        let rhythm = &self.person.rhythm;
        let odd_week = self.world.calendar.epoch_day(self.date).div_euclid(7) % 2 != 0;
        let rotation = if odd_week { rhythm.rotation } else { 0.0 };
        let minute = self.dice.normal(rhythm.start + rotation, rhythm.spread);
        self.local(minute)
    }

    /// Some time of the working day, fewer around the middle, a few in the evening.
    pub(super) fn moment(&mut self, start: Ticks) -> Ticks {
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

    /// The person's local time.
    pub(super) fn local(&self, minute: f64) -> Ticks {
        midnight(self.person, self.date) + minutes(minute)
    }

    /// One of the person's devices: of that kind if there is one, else mostly the laptop.
    pub(super) fn device(&mut self, kind: Option<DeviceKind>) -> &'c Device {
        let kind = kind.unwrap_or_else(|| match (self.whereabouts, self.dice.below(100)) {
            (Whereabouts::Home, 0..8) => DeviceKind::HomeComputer,
            (_, 80..) => DeviceKind::Phone,
            _ => DeviceKind::Laptop,
        });
        self.owned(kind)
    }

    /// The person's device of a kind, or any if there is none.
    pub(super) fn owned(&self, kind: DeviceKind) -> &'c Device {
        let owned = || self.person.devices.iter().filter(|device| device.in_use(self.date));
        owned()
            .find(|device| device.kind == kind)
            .or_else(|| owned().next())
            .unwrap_or(&self.person.devices[0])
    }

    /// What a device tells about itself.
    pub(super) fn client(&self, device: &Device, program: Program) -> Client {
        device.client(program, self.date, self.world.calendar.epoch_day(self.date))
    }

    /// The network that `device` is on at `at`.
    pub(super) fn origin(&mut self, device: &Device, at: Ticks) -> Origin {
        let Self { person, date, whereabouts, dice, .. } = self;
        Setting { person, day: *date, whereabouts: *whereabouts }.origin(device, at, dice)
    }

    /// As [`Day::origin`], by other dice.
    pub(super) fn origin_by(&self, device: &Device, at: Ticks, dice: &mut Dice) -> Origin {
        let Self { person, date, whereabouts, .. } = *self;
        Setting { person, day: date, whereabouts }.origin(device, at, dice)
    }
}

pub(super) fn minutes(minutes: f64) -> Ticks {
    (minutes * MINUTE as f64) as Ticks
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
