// A tile of rows on its way through an entity's network and back. What enters a layer, and what the last puts out, is a matrix
// `[rows][padded width]`; a block writes it and reads it again, so it stays in the cache.
#pragma once

#include "activation.cuh"
#include "group.cuh"
#include "multiply.cuh"
#include "random.cuh"

__device__ inline unsigned padded(unsigned width) { return (width + 3) / 4 * 4; }

// Where a pass finds the network, the rows and its room.
struct Pass {
    const Network *network;
    const Linear *layers;
    const Category *categories;
    const float *weights;
    // Rows of this tile, the position of the first in the epoch, and how many there are in all.
    unsigned count, position, rows;
    // Columns of input.
    const float *values;
    const unsigned *codes;
    // Columns of targets, and which row a position has; null if its own.
    const float *target_values;
    const unsigned *target_codes;
    const unsigned *order = nullptr;
    // Room for what enters every layer, of `capacity` rows, of which these start at `first_row`; for derivatives and slopes the
    // same, where they are kept. With a capacity of 0 there is room for two layers only, which take turns.
    float *activations, *derivatives = nullptr, *slopes = nullptr;
    size_t capacity = 0, first_row = 0, turn = 0;
    // `[count][features]`.
    float *losses;

    __device__ unsigned features() const { return network->values + network->categories; }
    __device__ unsigned input_width() const { return layers[0].inputs; }
    __device__ unsigned output_width() const { return layers[network->layers - 1].outputs; }
    __device__ unsigned width(unsigned l) const { return l == 0 ? layers[0].inputs : layers[l - 1].outputs; }
    __device__ size_t place(unsigned l) const {
        if (capacity == 0) return l % 2 * turn;
        unsigned before = l < network->layers ? layers[l].before : layers[l - 1].before + padded(layers[l - 1].inputs);
        return capacity * before + first_row * padded(width(l));
    }
    __device__ float *activation(unsigned l) const { return activations + place(l); }
    __device__ float *derivative(unsigned l) const { return derivatives + place(l); }
    __device__ float *slope(unsigned l) const { return slopes + place(l); }
    __device__ unsigned target(unsigned row) const { return order ? order[position + row] : position + row; }
};

// Takes rows in: values, and the embeddings of codes.
__device__ inline void gather(const Pass &pass) {
    float *input = pass.activation(0);
    unsigned stride = padded(pass.input_width()), values = pass.network->values;
    for (unsigned i = threadIdx.x; i < values * pass.count; i += THREADS) {
        unsigned row = i % pass.count, column = i / pass.count;
        input[row * stride + column] = pass.values[(size_t)column * pass.rows + pass.position + row];
    }
    for (unsigned c = 0; c < pass.network->categories; c++) {
        Category category = pass.categories[c];
        const unsigned *codes = pass.codes + (size_t)c * pass.rows + pass.position;
        const float *table = pass.weights + category.embedding;
        for (unsigned i = threadIdx.x; i < category.width * pass.count; i += THREADS) {
            unsigned row = i / category.width, column = i % category.width;
            input[row * stride + category.input + column] = table[codes[row] * padded(category.width) + column];
        }
    }
    __syncthreads();
}

// What is drawn at random in a pass.
struct Dropout {
    double share;
    unsigned long long seed;
    unsigned epoch;
};

// Which of the four units that unit `first` of a layer is among go on, of one row, and how strongly.
__device__ inline void drop_out(const Dropout &dropout, unsigned layer, unsigned position, unsigned first, float (&factors)[4]) {
    Words words = philox(dropout.seed, first / 4, STREAM_DROPOUT + layer, position, dropout.epoch);
    float keep = (float)(1.0 / (1.0 - dropout.share));
    for (int i = 0; i < 4; i++) factors[i] = unit(words.word[i]) < dropout.share ? 0.0f : keep;
}

// Runs the rows through all layers; keeps slopes where there is room for them.
template <class Precision>
__device__ inline void forward(const Pass &pass, Room<Precision> &room, const Dropout &dropout) {
    for (unsigned l = 0; l < pass.network->layers; l++) {
        Linear layer = pass.layers[l];
        Matrix input = {pass.activation(l), padded(layer.inputs), pass.count, layer.inputs};
        Matrix weight = {pass.weights + layer.weight, padded(layer.inputs), layer.outputs, layer.inputs};
        const float *bias = pass.weights + layer.bias;
        float *output = pass.activation(l + 1);
        float *slopes = pass.slopes && layer.activation != NONE ? pass.slope(l + 1) : nullptr;
        unsigned stride = padded(layer.outputs);
        bool drops = dropout.share > 0 && layer.activation != NONE;
        auto take = [&](unsigned m, unsigned n, float4 four) {
            float sums[4] = {four.x, four.y, four.z, four.w}, factors[4] = {1, 1, 1, 1};
            if (drops) drop_out(dropout, l, pass.position + m, n, factors);
#pragma unroll
            for (int i = 0; i < 4; i++) {
                if (n + i >= layer.outputs) break;
                size_t at = (size_t)m * stride + n + i;
                float x = sums[i] + bias[n + i], y = activate(layer.activation, x), factor = factors[i];
                output[at] = y * factor;
                if (slopes) slopes[at] = ::slope(layer.activation, x, y) * factor;
            }
        };
        for (unsigned n = 0; n < layer.outputs; n += Precision::N) {
            multiply_tile<Precision, ROW_MAJOR, ROW_MAJOR>(room, input, weight, 0, n, take);
        }
    }
}

// Largest loss of a binary feature.
#define BINARY_MOST 100.0f

// Loss of a number and of a truth, and their derivatives by the output.
__device__ inline void squared_error(float output, float target, float &loss, float &derivative) {
    float difference = output - target;
    loss = difference * difference;
    derivative = 2.0f * difference;
}

__device__ inline void binary_cross_entropy(float logit, float target, float &loss, float &derivative) {
    float e = expf(-fabsf(logit));
    float probability = logit >= 0 ? 1.0f / (1.0f + e) : e / (1.0f + e);
    loss = fminf(fmaxf(logit, 0.0f) - logit * target + log1pf(e), BINARY_MOST);
    derivative = probability - target;
    // The smaller of a number and no number is the number; divergence must show.
    if (logit != logit) loss = logit;
}

template <class T> __device__ inline T warp_sum(T x) {
    for (int distance = 16; distance > 0; distance /= 2) x += __shfl_xor_sync(0xffffffffu, x, distance);
    return x;
}

__device__ inline float warp_largest(float x) {
    for (int distance = 16; distance > 0; distance /= 2) x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, distance));
    return x;
}

// Loss of every feature of every row. With room for derivatives, writes there that of the losses' sum, times `scale`.
__device__ inline void take_losses(const Pass &pass, float scale, bool derive) {
    const Network &network = *pass.network;
    const float *outputs = pass.activation(network.layers);
    unsigned stride = padded(pass.output_width());
    float *derivatives = derive ? pass.derivative(network.layers) : nullptr;
    for (unsigned i = threadIdx.x; i < network.values * pass.count; i += THREADS) {
        unsigned row = i / network.values, feature = i % network.values;
        float target = pass.target_values[(size_t)feature * pass.rows + pass.target(row)];
        float output = outputs[(size_t)row * stride + feature], loss, derivative;
        if (feature < network.numeric) squared_error(output, target, loss, derivative);
        else binary_cross_entropy(output, target, loss, derivative);
        pass.losses[(size_t)row * pass.features() + feature] = loss;
        if (derive) derivatives[(size_t)row * stride + feature] = derivative * scale;
    }
    // A warp takes a row's category at a time: softmax and its cross-entropy.
    unsigned lane = threadIdx.x % 32;
    for (unsigned i = threadIdx.x / 32; i < network.categories * pass.count; i += THREADS / 32) {
        unsigned row = i / network.categories, c = i % network.categories;
        Category category = pass.categories[c];
        unsigned target = pass.target_codes[(size_t)c * pass.rows + pass.target(row)];
        const float *logits = outputs + (size_t)row * stride + category.output;
        float largest = -INFINITY, sum = 0;
        for (unsigned code = lane; code < category.codes; code += 32) largest = fmaxf(largest, logits[code]);
        largest = warp_largest(largest);
        for (unsigned code = lane; code < category.codes; code += 32) sum += expf(logits[code] - largest);
        sum = warp_sum(sum);
        if (lane == 0) pass.losses[(size_t)row * pass.features() + network.values + c] = largest - logits[target] + logf(sum);
        if (!derive) continue;
        float *slopes = derivatives + (size_t)row * stride + category.output;
        for (unsigned code = lane; code < category.codes; code += 32) {
            float share = expf(logits[code] - largest) / sum;
            slopes[code] = share * scale - (code == target ? scale : 0.0f);
        }
    }
    __syncthreads();
}

// Carries the derivatives from the output back to every layer and to the embeddings.
template <class Precision> __device__ inline void backward(const Pass &pass, Room<Precision> &room) {
    for (unsigned l = pass.network->layers; l-- > 0;) {
        Linear layer = pass.layers[l];
        // Values have no derivative to carry: of the first layer only the embeddings' columns matter.
        unsigned skipped = l == 0 ? pass.network->values : 0;
        Matrix delta = {pass.derivative(l + 1), padded(layer.outputs), pass.count, layer.outputs};
        Matrix weight = {pass.weights + layer.weight, padded(layer.inputs), layer.inputs, layer.outputs};
        float *result = pass.derivative(l);
        const float *slopes = l > 0 && pass.slopes ? pass.slope(l) : nullptr;
        const float *values = l > 0 ? pass.activation(l) : nullptr;
        unsigned activation = l > 0 ? pass.layers[l - 1].activation : NONE;
        unsigned stride = padded(layer.inputs);
        auto take = [&](unsigned m, unsigned n, float4 four) {
            float sums[4] = {four.x, four.y, four.z, four.w};
#pragma unroll
            for (int i = 0; i < 4; i++) {
                if (n + i >= layer.inputs) break;
                size_t at = (size_t)m * stride + n + i;
                float factor = slopes ? slopes[at] : values ? ::slope(activation, 0, values[at]) : 1.0f;
                result[at] = sums[i] * factor;
            }
        };
        for (unsigned n = skipped / 4 * 4; n < layer.inputs && skipped < layer.inputs; n += Precision::N) {
            multiply_tile<Precision, ROW_MAJOR, COLUMN_MAJOR>(room, delta, weight, 0, n, take);
        }
    }
}

// Of every feature and row: the network's number, the likelier truth, the likeliest category (not the last, which stands for all
// others, unless there is nothing else).
__device__ inline void predict(const Pass &pass, float *predicted) {
    const Network &network = *pass.network;
    const float *outputs = pass.activation(network.layers);
    unsigned stride = padded(pass.output_width());
    for (unsigned i = threadIdx.x; i < network.values * pass.count; i += THREADS) {
        unsigned row = i / network.values, feature = i % network.values;
        float output = outputs[(size_t)row * stride + feature];
        predicted[(size_t)row * pass.features() + feature] = feature < network.numeric ? output : output > 0 ? 1.0f : 0.0f;
    }
    unsigned lane = threadIdx.x % 32;
    for (unsigned i = threadIdx.x / 32; i < network.categories * pass.count; i += THREADS / 32) {
        unsigned row = i / network.categories, c = i % network.categories;
        Category category = pass.categories[c];
        const float *logits = outputs + (size_t)row * stride + category.output;
        unsigned known = max(category.codes - 1, 1u), best = lane < known ? lane : 0;
        for (unsigned code = lane; code < known; code += 32) best = logits[code] > logits[best] ? code : best;
        for (int distance = 16; distance > 0; distance /= 2) {
            unsigned other = __shfl_xor_sync(0xffffffffu, best, distance);
            bool better = logits[other] > logits[best] || (logits[other] == logits[best] && other < best);
            best = better ? other : best;
        }
        if (lane == 0) predicted[(size_t)row * pass.features() + network.values + c] = (float)best;
    }
}
