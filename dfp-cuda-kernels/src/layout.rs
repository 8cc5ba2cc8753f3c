//! Where everything of a group's entities is: the tables that the kernels read, and how large each arena must be.

use dfp_models::autoencoder::activation::Activation;
use dfp_models::autoencoder::features::Prepared;
use dfp_models::autoencoder::network::{Network, Shape};

use crate::device::Result;
use crate::group::{self, Category, Linear, Rows, Tile, padded};
use crate::memory::Arrays;

/// Takes room for `count` numbers at the end of an arena; answers with its start. Starts stay at 16 bytes.
pub(crate) fn take(arena: &mut usize, count: usize) -> u64 {
    let start = *arena;
    *arena += count.next_multiple_of(4);
    start as u64
}

/// Networks side by side.
#[derive(Debug, Default)]
pub(crate) struct Networks {
    pub(crate) list: Vec<group::Network>,
    pub(crate) layers: Vec<Linear>,
    pub(crate) categories: Vec<Category>,
    /// Numbers of all weights.
    pub(crate) weights: usize,
    /// Largest padded width of what enters a layer or is put out.
    pub(crate) widest: usize,
}

impl Networks {
    pub(crate) fn add(&mut self, shape: &Shape) {
        let (first_layer, first_category) = (self.layers.len() as u32, self.categories.len() as u32);
        let tensors = shape.tensors();
        let mut size = 0;
        let mut places =
            tensors.iter().map(|(_, [rows, columns])| take(&mut size, rows * padded(*columns)) as u32);
        let mut place = || places.next().expect("a place for every tensor");
        for (c, (codes, width)) in shape.codes.iter().zip(&shape.widths).enumerate() {
            self.categories.push(Category {
                codes: *codes as u32,
                width: *width as u32,
                input: shape.embedding(c).start as u32,
                output: shape.logits(c).start as u32,
                embedding: place(),
                reserved: 0,
            });
        }
        let mut before = 0;
        for l in 0..=shape.layers.len() {
            let (inputs, outputs) = (shape.width(l), shape.width(l + 1));
            self.layers.push(Linear {
                inputs: inputs as u32,
                outputs: outputs as u32,
                activation: shape.layers.get(l).map_or(NONE, |layer| number_of(layer.1)),
                before: before as u32,
                weight: place(),
                bias: place(),
            });
            before += padded(inputs);
            self.widest = self.widest.max(padded(inputs)).max(padded(outputs));
        }
        self.list.push(group::Network {
            numeric: shape.numeric as u32,
            values: shape.values() as u32,
            categories: shape.codes.len() as u32,
            layers: shape.layers.len() as u32 + 1,
            first_layer,
            first_category,
            total_width: (before + padded(shape.width(shape.layers.len() + 1))) as u32,
            reserved: 0,
            weights: take(&mut self.weights, size),
        });
    }

    /// The layers of a network.
    pub(crate) fn layers_of(&self, nth: usize) -> &[Linear] {
        let network = self.list[nth];
        &self.layers[network.first_layer as usize..][..network.layers as usize]
    }

    /// Where a network's weights start, and how many they are.
    pub(crate) fn weights_of(&self, nth: usize) -> (usize, usize) {
        let first = self.list[nth].weights as usize;
        let end = self.list.get(nth + 1).map_or(self.weights, |next| next.weights as usize);
        (first, end - first)
    }

    /// The categories of a network.
    pub(crate) fn categories_of(&self, nth: usize) -> &[Category] {
        let network = self.list[nth];
        &self.categories[network.first_category as usize..][..network.categories as usize]
    }
}

/// Appends a network's weights, rows at 16 bytes.
pub(crate) fn pack(network: &Network, weights: &mut Vec<f32>) {
    for (_, [_, columns], values) in network.tensors() {
        for row in values.chunks_exact(columns) {
            weights.extend_from_slice(row);
            weights.resize(weights.len() + padded(columns) - columns, 0.0);
        }
    }
}

/// The network of these weights; `None` if one is not finite.
pub(crate) fn unpack(shape: &Shape, weights: &[f32]) -> Option<Network> {
    let mut start = 0;
    let read = |_: &str, [rows, columns]: [usize; 2]| {
        let stride = padded(columns);
        let padded_rows = weights[start..start + rows * stride].chunks_exact(stride);
        let values = padded_rows.flat_map(|row| &row[..columns]).copied().collect();
        take(&mut start, rows * stride);
        Ok(values)
    };
    Network::from_tensors(shape.clone(), read).ok()
}

/// Prepared rows of entities side by side.
#[derive(Debug, Default)]
pub(crate) struct Columns {
    pub(crate) rows: Vec<Rows>,
    /// Numbers in the arenas of values and codes.
    pub(crate) values: usize,
    pub(crate) codes: usize,
}

impl Columns {
    /// Adds an entity's rows, whose noise swaps among `block` rows and whose losses go to `losses`.
    pub(crate) fn add(&mut self, rows: &Prepared, block: usize, losses: u64) {
        self.rows.push(Rows {
            rows: rows.rows as u32,
            block: block.min(rows.rows) as u32,
            values: take(&mut self.values, rows.values.len() * rows.rows),
            codes: take(&mut self.codes, rows.codes.len() * rows.rows),
            losses,
        });
    }

    /// Brings the rows over; answers with the arenas of values and codes.
    pub(crate) fn put<'a>(
        &self,
        arrays: &mut Arrays<'_>,
        all: impl Iterator<Item = &'a Prepared> + Clone,
    ) -> Result<(u64, u64)> {
        let values = arrays.put_parts(self.values, all.clone(), |rows, part| append(&rows.values, part))?;
        let codes = arrays.put_parts(self.codes, all, |rows, part| append(&rows.codes, part))?;
        Ok((values, codes))
    }
}

fn append<T: Copy>(columns: &[Vec<T>], part: &mut Vec<T>) {
    for column in columns {
        part.extend_from_slice(column);
    }
}

/// Tiles of up to `size` rows that cover so many rows of each entity.
pub(crate) fn tiles_of(rows: impl Iterator<Item = usize>, size: usize) -> Vec<Tile> {
    let tiles = |(entity, rows): (usize, usize)| {
        (0..rows).step_by(size).map(move |first| Tile { entity: entity as u32, first: first as u32 })
    };
    rows.enumerate().flat_map(tiles).collect()
}

/// `Activation` of the kernels for the heads.
const NONE: u32 = 13;

/// `Activation` of the kernels.
fn number_of(activation: Activation) -> u32 {
    match activation {
        Activation::LeakyRelu => 0,
        Activation::Relu => 1,
        Activation::Sigmoid => 2,
        Activation::Tanh => 3,
        Activation::Selu => 4,
        Activation::Hardtanh => 5,
        Activation::Relu6 => 6,
        Activation::Elu => 7,
        Activation::Celu => 8,
        Activation::Rrelu => 9,
        Activation::Hardshrink => 10,
        Activation::Tanhshrink => 11,
        Activation::Softsign => 12,
    }
}
