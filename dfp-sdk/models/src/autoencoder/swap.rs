//! Swap noise: some cells take the value of another row of the same column (spec section 11).

use super::rng::{RUN, below, philox_run};

/// Draws a column of `rows` rows: round half to even of `rows * probability`.
pub fn swap_rows(rows: usize, probability: f64) -> usize {
    (rows as f64 * probability).round_ties_even() as usize
}

/// The source and destination rows of the first `draws` draws; see [`rng`](super::rng) for the counter.
pub fn draws(
    seed: u64,
    epoch: u32,
    block: u32,
    column: u32,
    draws: usize,
    rows: usize,
) -> impl Iterator<Item = (usize, usize)> {
    (0..draws).step_by(RUN).flat_map(move |k| {
        let [sources, destinations, ..] = philox_run(seed, [k as u32, column, block, epoch]);
        let words = sources.into_iter().zip(destinations).take(draws - k);
        words.map(move |(source, destination)| (below(source, rows), below(destination, rows)))
    })
}

/// Writes the clean value of every source row over its destination row; of two draws for one row the later wins.
/// Sources are read from `clean`, so no draw sees another's effect.
pub fn swap<T>(clean: impl Fn(usize) -> T, noisy: &mut [T], draws: impl Iterator<Item = (usize, usize)>) {
    for (source, destination) in draws {
        noisy[destination] = clean(source);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_rounds_to_even() {
        assert_eq!(
            [swap_rows(5, 0.5), swap_rows(7, 0.5), swap_rows(3, 0.15), swap_rows(10, 0.2)],
            [2, 4, 0, 2]
        );
    }

    #[test]
    fn sources_are_clean_and_later_draws_win() {
        let clean = [1, 2, 3, 4];
        let mut noisy = clean;
        swap(|row| clean[row], &mut noisy, [(0, 1), (1, 2), (3, 2)].into_iter());
        assert_eq!(noisy, [1, 1, 4, 4]);
    }

    #[test]
    fn about_one_cell_in_five_and_a_half_is_hit() {
        let rows = 10_000;
        let mut hit = vec![false; rows];
        for (source, destination) in draws(1, 0, 0, 0, swap_rows(rows, 0.2), rows) {
            assert!(source < rows);
            hit[destination] = true;
        }
        let share = hit.iter().filter(|h| **h).count() as f64 / rows as f64;
        assert!((share - (1.0 - (-0.2_f64).exp())).abs() < 0.01, "{share}");
    }
}
