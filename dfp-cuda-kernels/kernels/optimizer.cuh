// How weights follow their gradients, as `dfp_models::autoencoder` has it.
#pragma once

#include "group.cuh"

// Keeps Adam's division from blowing up.
#define EPSILON 1e-8f

// One step of the optimiser for an entity.
struct Step {
    unsigned method, variant;
    float rate, weight_decay;
    // SGD: share of the memory kept, of the gradient taken, and of the memory looked ahead by. Adam: betas, and the correction of
    // the square's root.
    float keep, share, ahead;
    bool remembers;
    float *weights, *first, *second, *largest;

    // Moves weight `at` by its gradient.
    __device__ void move(size_t at, float gradient) const {
        float weight = weights[at], g = gradient + weight_decay * weight;
        if (method == SGD) {
            float by = g;
            if (remembers) {
                float memory = keep == 0.0f ? share * g : keep * first[at] + share * g;
                first[at] = memory;
                by = variant ? g + ahead * memory : memory;
            }
            weights[at] = weight - rate * by;
            return;
        }
        float mean = first[at], square = second[at];
        mean += (1.0f - keep) * (g - mean);
        square = share * square + (1.0f - share) * g * g;
        first[at] = mean;
        second[at] = square;
        if (variant) largest[at] = square = fmaxf(largest[at], square);
        weights[at] = weight - rate * mean / (sqrtf(square) * ahead + EPSILON);
    }
};

__device__ inline Step step_of(const Training &training, const Network &network, const Progress &progress) {
    const Optimizer &optimizer = training.settings.optimizer;
    Step step;
    step.method = optimizer.method;
    step.variant = optimizer.variant;
    step.weight_decay = (float)optimizer.weight_decay;
    step.weights = training.weights + network.weights;
    step.first = training.first_memory + network.weights;
    step.second = training.second_memory + network.weights;
    step.largest = training.largest_memory + network.weights;
    double nth = progress.step + 1.0;
    if (optimizer.method == SGD) {
        step.remembers = optimizer.memory > 0;
        // The first gradient is the memory, undamped.
        step.keep = progress.step == 0 ? 0.0f : (float)optimizer.memory;
        step.share = progress.step == 0 ? 1.0f : 1.0f - (float)optimizer.second;
        step.ahead = (float)optimizer.memory;
        step.rate = (float)progress.rate;
    } else {
        step.remembers = true;
        step.keep = (float)optimizer.memory;
        step.share = (float)optimizer.second;
        step.rate = (float)(progress.rate / (1.0 - pow(optimizer.memory, nth)));
        step.ahead = (float)(1.0 / sqrt(1.0 - pow(optimizer.second, nth)));
    }
    return step;
}
