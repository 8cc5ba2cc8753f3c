//! One sign-in as the generator thinks of it; `record` turns it into Azure's JSON.

use super::super::calendar::{SECOND, Ticks};
use super::super::company::{Person, Service};
use super::super::device::Client;
use super::super::dice::{Dice, Guid};
use super::super::network::Origin;
use super::super::tables::{Outcome, SUCCESS};

/// Who signs in.
#[derive(Clone, Copy)]
pub(super) enum Actor<'c> {
    Person(&'c Person),
    Service(&'c Service),
}

impl Actor<'_> {
    /// The name that the records of this actor are grouped by.
    pub(super) fn user(&self) -> &str {
        match self {
            Self::Person(person) => &person.upn,
            Self::Service(service) => &service.upn,
        }
    }
}

/// How the actor proved who they are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Proof {
    /// A token from an earlier sign-in.
    Claim,
    /// A password alone.
    Password,
    /// A password and a second factor.
    SecondFactor,
}

/// The log that the sign-in is written to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Category {
    Interactive,
    NonInteractive,
    ServicePrincipal,
}

/// One sign-in.
pub(super) struct SignIn<'c> {
    pub(super) at: Ticks,
    /// How long Azure took to produce the record.
    pub(super) delay: Ticks,
    pub(super) id: Guid,
    pub(super) correlation: Guid,
    pub(super) actor: Actor<'c>,
    /// Index in the catalogue.
    pub(super) app: usize,
    /// `None` for the records that lack it.
    pub(super) client: Option<Client>,
    pub(super) origin: Origin,
    pub(super) outcome: &'static Outcome,
    pub(super) proof: Proof,
    pub(super) category: Category,
}

/// Part of the records whose address resolves to no place.
const UNPLACED: f64 = 0.006;
/// Part of the records that name no client.
const CLIENTLESS: f64 = 0.006;

impl<'c> SignIn<'c> {
    pub(super) fn new(
        dice: &mut Dice,
        actor: Actor<'c>,
        at: Ticks,
        app: usize,
        client: Client,
        origin: Origin,
    ) -> Self {
        let unplaced = dice.chance(UNPLACED);
        Self {
            at,
            delay: (dice.real(60.0, 240.0) * SECOND as f64) as Ticks,
            id: dice.guid(),
            correlation: dice.guid(),
            actor,
            app,
            client: (!dice.chance(CLIENTLESS)).then_some(client),
            origin: Origin { city: origin.city.filter(|_| !unplaced), ..origin },
            outcome: &SUCCESS,
            proof: Proof::Claim,
            category: Category::Interactive,
        }
    }

    pub(super) fn ending(mut self, outcome: &'static Outcome, proof: Proof) -> Self {
        self.outcome = outcome;
        self.proof = proof;
        self
    }

    /// When Azure produced the record.
    pub(super) fn produced(&self) -> Ticks {
        self.at + self.delay
    }
}
