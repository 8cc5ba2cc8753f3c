//! What a launch is told, byte for byte as `kernels/group.cuh` has it; what the fields mean is said there.

use std::sync::Arc;

/// A type of plain numbers without gaps, whose bytes say all.
///
/// # Safety
/// Every byte of every value is initialised, and every pattern of bytes is a value.
pub(crate) unsafe trait Plain: Copy + Default {}

/// The bytes of plain values.
pub(crate) fn bytes_of<T: Plain>(values: &[T]) -> &[u8] {
    // SAFETY: plain values have no uninitialised byte, and any address suits a byte.
    unsafe { std::slice::from_raw_parts(values.as_ptr().cast(), size_of_val(values)) }
}

/// The bytes of plain values, to write.
pub(crate) fn bytes_of_mut<T: Plain>(values: &mut [T]) -> &mut [u8] {
    // SAFETY: as above, and whatever is written is a value.
    unsafe { std::slice::from_raw_parts_mut(values.as_mut_ptr().cast(), size_of_val(values)) }
}

/// A kernel's argument as a launch takes it.
pub(crate) fn argument_of<T: Plain>(value: &T) -> Arc<[u64]> {
    const { assert!(align_of::<T>() <= align_of::<u64>() && size_of::<T>().is_multiple_of(8)) };
    let mut words = vec![0_u64; size_of::<T>() / size_of::<u64>()];
    bytes_of_mut(&mut words).copy_from_slice(bytes_of(std::slice::from_ref(value)));
    words.into()
}

/// Defines structs that the kernels know, with their sizes there.
macro_rules! shared {
    ($($(#[$attribute:meta])* struct $name:ident: $size:literal { $($field:ident: $type:ty,)* })*) => {$(
        $(#[$attribute])*
        #[repr(C)]
        #[derive(Debug, Clone, Copy, Default, PartialEq)]
        #[allow(clippy::struct_field_names)] // As the kernels name them.
        pub(crate) struct $name {
            $(pub(crate) $field: $type,)*
        }

        const _: () = assert!(size_of::<$name>() == $size && size_of::<$name>() == 0 $(+ size_of::<$type>())*);

        // SAFETY: `repr(C)`, of plain fields alone, and as large as they are together: no gaps.
        unsafe impl Plain for $name {}
    )*};
}

/// Numbers that are plain by themselves.
macro_rules! plain {
    ($($type:ty),*) => {$(
        // SAFETY: a number.
        unsafe impl Plain for $type {}
    )*};
}

plain!(u8, u32, u64, i64, f32, f64);

shared! {
    /// A linear layer.
    struct Linear: 24 { inputs: u32, outputs: u32, activation: u32, before: u32, weight: u32, bias: u32, }
    /// A categorical feature.
    struct Category: 24 { codes: u32, width: u32, input: u32, output: u32, embedding: u32, reserved: u32, }
    /// A network.
    struct Network: 40 {
        numeric: u32, values: u32, categories: u32, layers: u32, first_layer: u32, first_category: u32, total_width: u32,
        reserved: u32, weights: u64,
    }
    /// Rows of an entity.
    struct Rows: 32 { rows: u32, block: u32, values: u64, codes: u64, losses: u64, }
    /// How an entity learns.
    struct Learning: 40 { batch: u32, batches: u32, order: u64, scratch: u64, history: u64, sums: u64, }
    /// How far an entity's training has come.
    struct Progress: 40 { rate: f64, previous: f64, rises: i64, step: u32, epoch: u32, batch: u32, state: u32, }
    /// How weights follow gradients.
    struct Optimizer: 32 { method: u32, variant: u32, memory: f64, second: f64, weight_decay: f64, }
    /// What all entities share.
    struct Settings: 96 {
        seed: u64, dropout: f64, swap_probability: f64, learning_rate_decay: f64, patience: i64, optimizer: Optimizer,
        epochs: u32, shuffle_rows: u32, patient: u32, validated: u32, keeps_slopes: u32, reserved: u32,
    }
    /// Some rows of a batch.
    struct Tile: 8 { entity: u32, first: u32, }
    /// Some weights that one block updates.
    struct Piece: 16 { entity: u32, part: u32, row: u32, column: u32, }
    /// Mean and width of a loss.
    struct Scale: 16 { mean: f64, width: f64, }
    /// Argument of the training kernels.
    struct Training: 320 {
        networks: u64, layers: u64, categories: u64, rows: u64, learning: u64, progress: u64, tiles: u64, pieces: u64,
        weights: u64, first_memory: u64, second_memory: u64, largest_memory: u64, values: u64, codes: u64, noisy_values: u64,
        noisy_codes: u64, order: u64, scratch: u64, losses: u64, sums: u64, history: u64, watched: u64, watched_values: u64,
        watched_codes: u64, watched_noisy_values: u64, watched_noisy_codes: u64, noisy_losses: u64, clean_losses: u64,
        settings: Settings,
    }
    /// Argument of the kernels that evaluate rows.
    struct Evaluation: 160 {
        networks: u64, layers: u64, categories: u64, rows: u64, tiles: u64, weights: u64, values: u64, target_values: u64,
        codes: u64, target_codes: u64, losses: u64, predicted: u64, z_scores: u64, scales: u64, first_scale: u64, scratch: u64,
        scratch_of_block: u64, progress: u64, learning: u64, tile_count: u32, entity_count: u32,
    }
}

/// `Progress::state` of an entity that trained all its epochs, whose losses left the numbers, or that stopped early; 0 while
/// it trains.
pub(crate) const FINISHED: u32 = 1;
pub(crate) const DIVERGED: u32 = 2;
pub(crate) const STOPPED: u32 = 3;

/// A width rounded up to where rows of a table start at 16 bytes.
pub(crate) fn padded(width: usize) -> usize {
    width.next_multiple_of(4)
}
