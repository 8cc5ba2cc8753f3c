// What a launch is told: sizes and places of every entity of a group, as `src/group.rs` lays them out.
//
// An arena holds one kind of numbers of all entities; an entity's part starts at an offset counted in numbers. A table's rows are
// as long as its columns rounded up to a multiple of 4 (`padded`), so that a row starts at 16 bytes; what lies between is never used.
#pragma once

#include "device.cuh"

typedef unsigned long long Offset;

// A linear layer of an entity. Weight `[outputs][padded(inputs)]`, then bias `[outputs]`.
struct Linear {
    unsigned inputs, outputs;
    // See `Activation`; NONE for the heads.
    unsigned activation;
    // Padded widths of everything that enters an earlier layer, summed.
    unsigned before;
    // From the entity's first weight.
    unsigned weight, bias;
};

// A categorical feature of an entity. Embedding `[codes][padded(width)]`.
struct Category {
    unsigned codes, width;
    // First column of its embedding in the input, and of its logits in the output.
    unsigned input, output;
    unsigned embedding;
    unsigned reserved;
};

// An entity's network.
struct Network {
    // Numeric features; numeric and binary ones; categorical ones.
    unsigned numeric, values, categories;
    unsigned layers;
    // Where its layers and categories start in their tables.
    unsigned first_layer, first_category;
    // Sum of the padded widths of all that enters a layer, and of the output.
    unsigned total_width;
    unsigned reserved;
    Offset weights;
};

// Rows of an entity: columns of `rows` numbers, one after another.
struct Rows {
    unsigned rows;
    // Rows among which noise swaps.
    unsigned block;
    Offset values, codes;
    // Losses `[rows or batch][features]`.
    Offset losses;
};

// How an entity learns.
struct Learning {
    // Rows of a step, steps of an epoch.
    unsigned batch, batches;
    // Rows, or batches, in random order.
    Offset order;
    // Activations, derivatives and slopes of a batch, each `batch * total_width`.
    Offset scratch;
    // Per epoch and feature: mean training losses; then those of validation with noise and without.
    Offset history;
    // Sums of losses of the running epoch, one per feature.
    Offset sums;
};

enum State { RUNNING, FINISHED, DIVERGED, STOPPED };

// How far an entity's training has come.
struct Progress {
    double rate, previous;
    long long rises;
    // Steps and epochs done, and steps of the running epoch.
    unsigned step, epoch, batch;
    unsigned state;
};

enum Method { SGD, ADAM };

struct Optimizer {
    unsigned method;
    // Nesterov's momentum; amsgrad.
    unsigned variant;
    // Momentum and dampening; Adam's betas.
    double memory, second, weight_decay;
};

// What all entities share.
struct Settings {
    unsigned long long seed;
    double dropout, swap_probability, learning_rate_decay;
    long long patience;
    Optimizer optimizer;
    unsigned epochs;
    unsigned shuffle_rows;
    // Whether a rise of the validation loss can end training, and whether there is validation.
    unsigned patient, validated;
    // Whether slopes are kept: dropout, or an activation whose slope its value does not tell.
    unsigned keeps_slopes;
    unsigned reserved;
};

// Some rows of a batch: up to a tile's, from `first` on.
struct Tile {
    unsigned entity, first;
};

// Some weights that one block updates: a tile of a layer's, or some codes of a category's.
struct Piece {
    unsigned entity;
    // Of the entity's layers, or beyond those its category.
    unsigned part;
    unsigned row, column;
};

// Argument of the training kernels.
struct Training {
    const Network *networks;
    const Linear *layers;
    const Category *categories;
    const Rows *rows;
    const Learning *learning;
    Progress *progress;
    const Tile *tiles;
    const Piece *pieces;
    float *weights, *first_memory, *second_memory, *largest_memory;
    const float *values;
    const unsigned *codes;
    float *noisy_values;
    unsigned *noisy_codes;
    unsigned *order;
    float *scratch, *losses;
    double *sums, *history;
    // Validation rows: with the losses of noisy and of clean input.
    const Rows *watched;
    const float *watched_values;
    const unsigned *watched_codes;
    float *watched_noisy_values;
    unsigned *watched_noisy_codes;
    const float *noisy_losses, *clean_losses;
    Settings settings;
};

// Mean and width of a loss, for z-scores.
struct Scale {
    double mean, width;
};

// Argument of the kernels that evaluate rows.
struct Evaluation {
    const Network *networks;
    const Linear *layers;
    const Category *categories;
    const Rows *rows;
    const Tile *tiles;
    const float *weights;
    // What goes in, and what should come out.
    const float *values, *target_values;
    const unsigned *codes, *target_codes;
    float *losses;
    // `[rows][features]` like the losses, or null.
    float *predicted, *z_scores;
    // Per entity and feature, `scale_of[entity]` the first; used with `z_scores`, filled by `take_statistics`.
    Scale *scales;
    const unsigned *first_scale;
    // Room for two layers of a tile per block.
    float *scratch;
    Offset scratch_of_block;
    // If given, only entities that have just ended an epoch are evaluated.
    const Progress *progress;
    const Learning *learning;
    unsigned tile_count;
    unsigned entity_count;
};

// As `src/group.rs` asserts them too.
static_assert(sizeof(Linear) == 24 && sizeof(Category) == 24 && sizeof(Network) == 40 && sizeof(Rows) == 32, "as in group.rs");
static_assert(sizeof(Learning) == 40 && sizeof(Progress) == 40 && sizeof(Optimizer) == 32 && sizeof(Settings) == 96, "as in group.rs");
static_assert(sizeof(Tile) == 8 && sizeof(Piece) == 16 && sizeof(Scale) == 16, "as in group.rs");
static_assert(sizeof(Training) == 320 && sizeof(Evaluation) == 160, "as in group.rs");
