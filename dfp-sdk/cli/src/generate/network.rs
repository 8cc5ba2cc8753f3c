//! Where a sign-in comes from: addresses, carriers, towns.
//!
//! Addresses lie in ranges that are nobody's (shared address space, benchmarks, documentation), carriers have private
//! system numbers, so that no generated record points at a real line.

use super::company::Person;
use super::dice::{Dice, scatter};
use super::tables::{City, OFFICES, Office, town};

/// The network end of a sign-in.
#[derive(Clone)]
pub(super) struct Origin {
    /// `None` where the address resolves to no place.
    pub(super) city: Option<&'static City>,
    pub(super) address: String,
    /// Autonomous system number.
    pub(super) system: u32,
    /// Kind and name of the named location.
    pub(super) named: Option<(&'static str, &'static str)>,
    /// Whether it is a place that the company has not seen often.
    pub(super) unfamiliar: bool,
}

/// Days that a home connection keeps its address.
const LEASE: i32 = 24;

/// Behind one of the office's three egress addresses.
pub(super) fn office(office: &'static Office, dice: &mut Dice) -> Origin {
    let number = office_number(office);
    Origin {
        city: Some(town(office.city)),
        address: format!("198.18.{number}.{}", 10 + dice.below(3)),
        system: 64610 + number,
        named: Some(("trustedNamedLocation", office.network)),
        unfamiliar: false,
    }
}

/// Out of the VPN gateway that serves the office's staff.
pub(super) fn vpn(office: &'static Office, dice: &mut Dice) -> Origin {
    let number = office_number(office);
    Origin {
        city: Some(town(office.gateway)),
        address: format!("198.19.{number}.{}", 20 + dice.below(4)),
        system: 64620 + number,
        named: Some(("trustedNamedLocation", "Corporate VPN")),
        unfamiliar: false,
    }
}

/// At home. The address changes every few weeks and then resolves to a neighbouring town at times.
pub(super) fn home(person: &Person, day: i32) -> Origin {
    let lease = (day + person.index as i32 % LEASE).div_euclid(LEASE);
    let key = scatter((person.index as u64) << 32 | lease as u32 as u64);
    let neighbour = key.is_multiple_of(14);
    let homes = person.office.homes;
    let city = if neighbour { town(homes[(key >> 8) as usize % homes.len()]) } else { person.home };
    line(city, key, 3)
}

/// On a phone network that comes out in one of `towns`.
pub(super) fn mobile(towns: &[&'static str], dice: &mut Dice) -> Origin {
    let city = town(dice.pick(towns));
    let key = dice.bits();
    let origin = line(city, key, 2);
    if key.is_multiple_of(4) {
        let address = format!("2001:db8:{:x}:{:x}::{:x}", origin.system, key >> 48, key >> 16 & 0xffff);
        return Origin { address, ..origin };
    }
    origin
}

/// A hotel or a customer's guest network, the same for a whole stay.
pub(super) fn hotel(city: &'static City, stay: u64) -> Origin {
    Origin { unfamiliar: true, ..line(city, scatter(stay), 5) }
}

/// A line of one of the country's `carriers` carriers.
fn line(city: &'static City, key: u64, carriers: u64) -> Origin {
    let country = city.country.bytes().fold(0, |sum, byte| scatter(sum + u64::from(byte)));
    let carrier = scatter(country + key % carriers);
    let [a, b, c, ..] = scatter(key).to_be_bytes();
    Origin {
        city: Some(city),
        address: format!("100.{}.{b}.{}", 64 + (carrier as u8 ^ a & 3) % 64, c.max(1)),
        system: 64700 + (carrier % 800) as u32,
        named: None,
        unfamiliar: false,
    }
}

fn office_number(office: &Office) -> u32 {
    OFFICES.iter().position(|other| other.city == office.city).unwrap_or_default() as u32
}
