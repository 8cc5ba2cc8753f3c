// Training and evaluation of many entities' autoencoders: a launch of each kernel takes every entity of a group a step further.
//
// A step of training is `deal` (at the start of an epoch: order and noise), `pass_*` (a block takes a tile of an entity's rows
// forward, to the losses, and back), `learn_*` (a block takes a tile of an entity's weights: gradient over the batch, then the
// optimiser) and `record` (losses, and where the entity stands). With validation, `deal_watched` and `evaluate_*` come before
// `record`. What is computed for an entity depends on its own sizes and draws alone, never on what else is in the launch.

#include "network.cuh"
#include "optimizer.cuh"

// --- Order and noise ---

// Some cells of a column take the value of another row of their block: of all draws for a row the last wins. Draws are made one
// after another by one thread for each column of each block.
template <class T>
__device__ inline void add_noise(
    const Settings &settings, unsigned epoch, unsigned first_column, const T *clean, T *noisy, unsigned columns,
    const Rows &rows, const unsigned *order
) {
    unsigned blocks = (rows.rows + rows.block - 1) / rows.block;
    for (unsigned i = threadIdx.x; i < columns * rows.rows; i += THREADS) {
        unsigned position = i % rows.rows, start = i - position;
        noisy[i] = clean[start + (order ? order[position] : position)];
    }
    __syncthreads();
    for (unsigned i = threadIdx.x; i < columns * blocks; i += THREADS) {
        unsigned column = i / blocks, block = i % blocks, first = block * rows.block;
        unsigned count = min(rows.block, rows.rows - first);
        unsigned draws = (unsigned)rint((double)count * settings.swap_probability);
        for (unsigned draw = 0; draw < draws; draw++) {
            Words words = philox(settings.seed, draw, first_column + column, block, epoch);
            unsigned source = first + below(words.word[0], count), target = first + below(words.word[1], count);
            size_t start = (size_t)column * rows.rows;
            noisy[start + target] = clean[start + (order ? order[source] : source)];
        }
    }
}

// Orders of up to this many rows are made in shared memory.
#define SHUFFLED_IN_SHARED (10 * 1024)

// At the start of an epoch: its order, and its noisy rows. A block for each entity.
KERNEL(deal, THREADS, 1, Training) {
    SHARED(unsigned, shared);
    unsigned entity = blockIdx.x;
    Progress progress = argument.progress[entity];
    if (progress.state != RUNNING || progress.batch != 0) return;
    const Settings &settings = argument.settings;
    const Network &network = argument.networks[entity];
    Rows rows = argument.rows[entity];
    Learning learning = argument.learning[entity];
    unsigned *order = argument.order + learning.order;
    unsigned count = settings.shuffle_rows ? rows.rows : learning.batches;
    unsigned *partners = shared, *items = count <= SHUFFLED_IN_SHARED ? shared + THREADS : order;
    for (unsigned i = threadIdx.x; i < count; i += THREADS) items[i] = i;
    shuffle(settings.seed, progress.epoch, items, count, partners);
    if (items != order) {
        for (unsigned i = threadIdx.x; i < count; i += THREADS) order[i] = items[i];
    }
    __syncthreads();
    const unsigned *row_order = settings.shuffle_rows ? order : nullptr;
    add_noise(settings, progress.epoch, 0, argument.values + rows.values, argument.noisy_values + rows.values,
        network.values, rows, row_order);
    add_noise(settings, progress.epoch, network.values, argument.codes + rows.codes, argument.noisy_codes + rows.codes,
        network.categories, rows, row_order);
}

// Whether the entity's running step is the last of its epoch.
__device__ inline bool ends_epoch(const Progress &progress, const Learning &learning) {
    return progress.state == RUNNING && progress.batch + 1 == learning.batches;
}

// At the end of an epoch: the noisy validation rows. A block for each entity.
KERNEL(deal_watched, THREADS, 1, Training) {
    unsigned entity = blockIdx.x;
    Progress progress = argument.progress[entity];
    if (!ends_epoch(progress, argument.learning[entity])) return;
    const Network &network = argument.networks[entity];
    Rows rows = argument.watched[entity];
    unsigned epoch = progress.epoch | VALIDATION_EPOCH;
    add_noise(argument.settings, epoch, 0, argument.watched_values + rows.values, argument.watched_noisy_values + rows.values,
        network.values, rows, nullptr);
    add_noise(argument.settings, epoch, network.values, argument.watched_codes + rows.codes,
        argument.watched_noisy_codes + rows.codes, network.categories, rows, nullptr);
}

// --- Training ---

// Rows of an entity's running step.
struct Batch {
    unsigned first, count;
};

__device__ inline Batch batch_of(const Training &training, const Progress &progress, const Rows &rows, const Learning &learning) {
    unsigned nth = training.settings.shuffle_rows ? progress.batch : training.order[learning.order + progress.batch];
    unsigned first = nth * learning.batch;
    return Batch{first, min(learning.batch, rows.rows - first)};
}

// Gives a pass the part from row `first` on of its entity's room for a batch.
__device__ inline void give_room(
    Pass &pass, const Training &training, const Network &network, const Learning &learning, unsigned first
) {
    size_t size = (size_t)learning.batch * network.total_width;
    pass.capacity = learning.batch;
    pass.first_row = first;
    pass.activations = training.scratch + learning.scratch;
    pass.derivatives = pass.activations + size;
    pass.slopes = training.settings.keeps_slopes ? pass.derivatives + size : nullptr;
}

template <class Precision> __device__ inline void pass_of(const Training &training, Room<Precision> &room) {
    Tile tile = training.tiles[blockIdx.x];
    const Progress &progress = training.progress[tile.entity];
    if (progress.state != RUNNING) return;
    const Settings &settings = training.settings;
    const Network &network = training.networks[tile.entity];
    const Learning &learning = training.learning[tile.entity];
    Rows rows = training.rows[tile.entity];
    Batch batch = batch_of(training, progress, rows, learning);
    if (tile.first >= batch.count) return;

    Pass pass;
    pass.network = &network;
    pass.layers = training.layers + network.first_layer;
    pass.categories = training.categories + network.first_category;
    pass.weights = training.weights + network.weights;
    pass.count = min((unsigned)Precision::M, batch.count - tile.first);
    pass.position = batch.first + tile.first;
    pass.rows = rows.rows;
    pass.values = training.noisy_values + rows.values;
    pass.codes = training.noisy_codes + rows.codes;
    pass.target_values = training.values + rows.values;
    pass.target_codes = training.codes + rows.codes;
    pass.order = settings.shuffle_rows ? training.order + learning.order : nullptr;
    give_room(pass, training, network, learning, tile.first);
    pass.losses = training.losses + rows.losses + (size_t)tile.first * pass.features();

    gather(pass);
    forward<Precision>(pass, room, Dropout{settings.dropout, settings.seed, progress.epoch});
    take_losses(pass, 1.0f / (float)(batch.count * pass.features()), true);
    backward<Precision>(pass, room);
}

// The gradient of a tile of a layer's weights over the batch, and their step.
template <class Precision>
__device__ inline void learn_linear(
    const Pass &pass, const Piece &piece, const Step &step, Room<Precision> &room
) {
    Linear layer = pass.layers[piece.part];
    const float *derivatives = pass.derivative(piece.part + 1);
    unsigned stride = padded(layer.outputs);
    Matrix delta = {derivatives, stride, layer.outputs, pass.count};
    Matrix input = {pass.activation(piece.part), padded(layer.inputs), layer.inputs, pass.count};
    auto take = [&](unsigned m, unsigned n, float4 four) {
        float sums[4] = {four.x, four.y, four.z, four.w};
#pragma unroll
        for (int i = 0; i < 4; i++) {
            if (n + i < layer.inputs) step.move(layer.weight + (size_t)m * padded(layer.inputs) + n + i, sums[i]);
        }
    };
    multiply_tile<Precision, COLUMN_MAJOR, COLUMN_MAJOR>(room, delta, input, piece.row, piece.column, take);
    unsigned output = piece.row + threadIdx.x;
    if (piece.column > 0 || threadIdx.x >= Precision::M || output >= layer.outputs) return;
    float sum = 0;
    for (unsigned row = 0; row < pass.count; row++) sum += derivatives[(size_t)row * stride + output];
    step.move(layer.bias + output, sum);
}

// Codes of an embedding that a block takes.
#define CODES 64

// The gradient of some codes' embeddings over the batch, and their step. A warp takes a code at a time and looks for the rows
// that have it.
__device__ inline void learn_embedding(const Pass &pass, const Piece &piece, const Step &step) {
    unsigned c = piece.part - pass.network->layers, lane = threadIdx.x % 32;
    Category category = pass.categories[c];
    const unsigned *codes = pass.codes + (size_t)c * pass.rows + pass.position;
    const float *derivatives = pass.derivative(0) + category.input;
    unsigned stride = padded(pass.input_width()), last = min(piece.row + CODES, category.codes);
    for (unsigned code = piece.row + threadIdx.x / 32; code < last; code += THREADS / 32) {
        for (unsigned first = 0; first < category.width; first += 32) {
            unsigned column = first + lane;
            float sum = 0;
            for (unsigned start = 0; start < pass.count; start += 32) {
                unsigned row = start + lane;
                unsigned hits = __ballot_sync(0xffffffffu, row < pass.count && codes[row] == code);
                for (; hits; hits &= hits - 1) {
                    unsigned hit = start + __ffs(hits) - 1;
                    if (column < category.width) sum += derivatives[(size_t)hit * stride + column];
                }
            }
            if (column < category.width) step.move(category.embedding + (size_t)code * padded(category.width) + column, sum);
        }
    }
}

template <class Precision> __device__ inline void learn_of(const Training &training, Room<Precision> &room) {
    Piece piece = training.pieces[blockIdx.x];
    const Progress &progress = training.progress[piece.entity];
    if (progress.state != RUNNING) return;
    const Network &network = training.networks[piece.entity];
    const Learning &learning = training.learning[piece.entity];
    Rows rows = training.rows[piece.entity];
    Batch batch = batch_of(training, progress, rows, learning);

    Pass pass;
    pass.network = &network;
    pass.layers = training.layers + network.first_layer;
    pass.categories = training.categories + network.first_category;
    pass.count = batch.count;
    pass.position = batch.first;
    pass.rows = rows.rows;
    pass.codes = training.noisy_codes + rows.codes;
    give_room(pass, training, network, learning, 0);
    Step step = step_of(training, network, progress);
    if (piece.part < network.layers) learn_linear<Precision>(pass, piece, step, room);
    else learn_embedding(pass, piece, step);
}

// --- Where an entity stands ---

// Mean over blocks of `block` rows of the blocks' mean losses of a feature, by one warp.
__device__ inline double mean_of_blocks(const float *losses, unsigned features, unsigned feature, unsigned rows, unsigned block) {
    unsigned blocks = (rows + block - 1) / block;
    double sum = 0;
    for (unsigned row = threadIdx.x % 32; row < rows; row += 32) {
        unsigned size = min(block, rows - row / block * block);
        sum += (double)losses[(size_t)row * features + feature] / ((double)size * blocks);
    }
    return warp_sum(sum);
}

// Takes the losses of the step, and of the epoch where it ends, and moves on. A block for each entity.
KERNEL(record, THREADS, 1, Training) {
    SHARED(unsigned, shared);
    unsigned entity = blockIdx.x;
    Progress progress = argument.progress[entity];
    if (progress.state != RUNNING) return;
    const Settings &settings = argument.settings;
    const Network &network = argument.networks[entity];
    Learning learning = argument.learning[entity];
    Rows rows = argument.rows[entity];
    Batch batch = batch_of(argument, progress, rows, learning);
    unsigned features = network.values + network.categories, lane = threadIdx.x % 32;
    bool ends = ends_epoch(progress, learning);
    double *sums = argument.sums + learning.sums;
    double *history = argument.history + learning.history + (size_t)progress.epoch * features * (settings.validated ? 3 : 1);
    if (threadIdx.x == 0) shared[0] = 0;
    __syncthreads();
    for (unsigned feature = threadIdx.x / 32; feature < features; feature += THREADS / 32) {
        double mean = mean_of_blocks(argument.losses + rows.losses, features, feature, batch.count, batch.count);
        double sum = progress.batch == 0 || lane != 0 ? mean : sums[feature] + mean; // only lane 0 has it: it also writes there
        if (lane == 0) sums[feature] = sum;
        if (!ends) continue;
        double trained = sum / learning.batches;
        if (lane == 0) history[feature] = trained;
        if (lane == 0 && !isfinite(trained)) atomicAdd(&shared[0], 1u);
        if (!settings.validated) continue;
        Rows watched = argument.watched[entity];
        double noisy = mean_of_blocks(argument.noisy_losses + watched.losses, features, feature, watched.rows, watched.block);
        double clean = mean_of_blocks(argument.clean_losses + watched.losses, features, feature, watched.rows, watched.block);
        if (lane == 0) history[features + feature] = noisy;
        if (lane == 0) history[2 * features + feature] = clean;
    }
    __syncthreads();
    if (threadIdx.x != 0) return;
    progress.step++;
    progress.batch++;
    if (ends) {
        progress.batch = 0;
        progress.epoch++;
        progress.rate *= settings.learning_rate_decay;
        if (progress.epoch == settings.epochs) progress.state = FINISHED;
        if (settings.validated) {
            double loss = 0;
            for (unsigned feature = 0; feature < features; feature++) loss += history[2 * features + feature];
            loss /= features;
            bool rose = loss > progress.previous;
            progress.previous = loss;
            progress.rises = rose ? progress.rises + 1 : 0;
            if (settings.patient && rose && progress.rises >= settings.patience) progress.state = STOPPED;
        }
        if (shared[0]) progress.state = DIVERGED;
    }
    argument.progress[entity] = progress;
}

// --- Evaluation ---

// Z-scores are cut off here, so that sums stay finite.
#define FARTHEST_Z 1e30
#define LARGEST_FLOAT 3.402823466e+38f

// Blocks take tiles in turn: there are as many blocks as there is room for.
template <class Precision> __device__ inline void evaluate_of(const Evaluation &argument, Room<Precision> &room) {
    for (unsigned nth = blockIdx.x; nth < argument.tile_count; nth += gridDim.x) {
        Tile tile = argument.tiles[nth];
        if (argument.progress && !ends_epoch(argument.progress[tile.entity], argument.learning[tile.entity])) continue;
        const Network &network = argument.networks[tile.entity];
        Rows rows = argument.rows[tile.entity];
        Pass pass;
        pass.network = &network;
        pass.layers = argument.layers + network.first_layer;
        pass.categories = argument.categories + network.first_category;
        pass.weights = argument.weights + network.weights;
        pass.count = min((unsigned)Precision::M, rows.rows - tile.first);
        pass.position = tile.first;
        pass.rows = rows.rows;
        pass.values = argument.values + rows.values;
        pass.codes = argument.codes + rows.codes;
        pass.target_values = argument.target_values + rows.values;
        pass.target_codes = argument.target_codes + rows.codes;
        pass.activations = argument.scratch + (size_t)blockIdx.x * argument.scratch_of_block;
        pass.turn = argument.scratch_of_block / 2;
        size_t first = rows.losses + (size_t)tile.first * pass.features();
        pass.losses = argument.losses + first;

        gather(pass);
        forward<Precision>(pass, room, Dropout{0, 0, 0});
        take_losses(pass, 0, false);
        unsigned cells = pass.count * pass.features();
        if (argument.predicted) predict(pass, argument.predicted + first);
        // Training must see a loss that is no number; a score is then as large as can be.
        if (!argument.progress) {
            for (unsigned i = threadIdx.x; i < cells; i += THREADS) {
                if (!isfinite(pass.losses[i])) pass.losses[i] = LARGEST_FLOAT;
            }
        }
        if (argument.z_scores) {
            const Scale *scales = argument.scales + argument.first_scale[tile.entity];
            for (unsigned i = threadIdx.x; i < cells; i += THREADS) {
                Scale scale = scales[i % pass.features()];
                double z = ((double)pass.losses[i] - scale.mean) / scale.width;
                argument.z_scores[first + i] = (float)fmin(fmax(z, -FARTHEST_Z), FARTHEST_Z);
            }
        }
        __syncthreads();
    }
}

// Mean and population standard deviation of every feature's losses, in two passes. A block for each entity.
KERNEL(take_statistics, THREADS, 1, Evaluation) {
    unsigned entity = blockIdx.x, lane = threadIdx.x % 32;
    const Network &network = argument.networks[entity];
    Rows rows = argument.rows[entity];
    unsigned features = network.values + network.categories;
    const float *losses = argument.losses + rows.losses;
    for (unsigned feature = threadIdx.x / 32; feature < features; feature += THREADS / 32) {
        double sum = 0, squares = 0;
        for (unsigned row = lane; row < rows.rows; row += 32) sum += (double)losses[(size_t)row * features + feature];
        double mean = warp_sum(sum) / rows.rows;
        for (unsigned row = lane; row < rows.rows; row += 32) {
            double distance = (double)losses[(size_t)row * features + feature] - mean;
            squares += distance * distance;
        }
        double width = sqrt(warp_sum(squares) / rows.rows);
        if (lane == 0) argument.scales[argument.first_scale[entity] + feature] = Scale{mean, width == 0 ? 1.0 : width};
    }
}

// --- The kernels that multiply, in every precision ---

// As `src/precision.rs` asks for.
static_assert(sizeof(Room<Fp32>) == 34816 && sizeof(Room<Bf16x3>) == 69632 && sizeof(Room<Bf16>) == 69632, "as launched");

#define IN_PRECISION(precision, Precision, blocks) \
    KERNEL(pass_##precision, THREADS, blocks, Training) { \
        SHARED(Room<Precision>, room); \
        pass_of<Precision>(argument, *room); \
    } \
    KERNEL(learn_##precision, THREADS, blocks, Training) { \
        SHARED(Room<Precision>, room); \
        learn_of<Precision>(argument, *room); \
    } \
    KERNEL(evaluate_##precision, THREADS, blocks, Evaluation) { \
        SHARED(Room<Precision>, room); \
        evaluate_of<Precision>(argument, *room); \
    }

IN_PRECISION(fp32, Fp32, 2)
IN_PRECISION(bf16x3, Bf16x3, 1)
IN_PRECISION(bf16, Bf16, 2)
#ifdef WGMMA
static_assert(sizeof(Room<Wgmma>) == 69632, "as launched");
IN_PRECISION(wgmma, Wgmma, 1)
#endif
