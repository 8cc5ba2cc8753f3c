// A CUDA device as a program: it takes memory, copies and launches kernels as told through its standard input, and answers
// through its standard output. Linked with kernels compiled as C++ (cuda.h), whose threads it runs as fibers, one block after
// another. Whatever goes wrong is said on standard error and ends the program, as an error ends a CUDA context.
//
//     program ORDER SEED SECONDS
//
// ORDER of blocks and of the threads that can go on: 0 up, 1 down, 2 shuffled with SEED. SECONDS of processor time that a launch
// may take.
//
// Built with -fsanitize=address (SANITIZE_ADDRESS defined here), it sees every access outside memory. Under -fsanitize=thread
// (SANITIZE_THREAD; this file itself is then not instrumented) every CUDA thread is a thread of its own to the sanitizer, ordered
// against others by barriers and launches only, so races are seen however the fibers happen to run.
#include "cuda.h"

#include <algorithm>
#include <map>
#include <random>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
#include <vector>

#ifdef SANITIZE_ADDRESS
#include <pthread.h>
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef SANITIZE_THREAD
#include <sanitizer/tsan_interface.h>
#endif
#if defined(PORTABLE) || !defined(__x86_64__)
#define USE_UCONTEXT
#include <ucontext.h>
#endif

emulator::Index threadIdx, blockIdx, blockDim, gridDim;

namespace {

using emulator::Kind;
using emulator::Request;

constexpr unsigned MAX_THREADS = 1024;
constexpr size_t STACK = 256 << 10, GUARD = 4096;
// Undefined memory: NaN as floats, far out of range as indices.
constexpr int POISON = 0xff;
// Behind memory, to see writes that miss it.
constexpr size_t CANARY = 256;
constexpr int CANARY_BYTE = 0xc5;

struct Kernel {
    unsigned threads;
    size_t argument;
    void (*run)(const void *);
};

std::map<std::string, Kernel> &kernels() {
    static std::map<std::string, Kernel> all;
    return all;
}

// Where the program is, for reports.
const char *kernel_name = nullptr;

[[noreturn]] __attribute__((format(printf, 1, 2))) void fail(const char *format, ...) {
    if (kernel_name) fprintf(stderr, "kernel %s, block %u: ", kernel_name, blockIdx.x);
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    fflush(stderr);
    _exit(3);
}

// ---------------------------------------------------------------------------------------------------------------- Fibers

struct Fiber {
    unsigned thread = 0;
    Request *waits = nullptr;
    bool ended = false;
    unsigned char *bottom = nullptr;
    size_t size = STACK;
#ifdef USE_UCONTEXT
    ucontext_t context;
#else
    void *stack = nullptr;
#endif
#ifdef SANITIZE_ADDRESS
    void *fake = nullptr;
#endif
#ifdef SANITIZE_THREAD
    void *sanitized = nullptr;
#endif
};

Fiber fibers[MAX_THREADS], program, *current = &program;

#ifndef USE_UCONTEXT
// Saves the registers that a callee must keep, and goes on where `to` was saved.
extern "C" void emulator_switch(void **from, void *to);
asm(R"(
    .text
    .globl emulator_switch
    .type emulator_switch, @function
emulator_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
    .size emulator_switch, . - emulator_switch
)");
#endif

void switch_to(Fiber &next) {
    Fiber &self = *current;
    threadIdx.x = next.thread;
    if (&next == &self) return;
    current = &next;
#ifdef SANITIZE_ADDRESS
    __sanitizer_start_switch_fiber(&self.fake, next.bottom, next.size);
#endif
#ifdef SANITIZE_THREAD
    __tsan_switch_to_fiber(next.sanitized, __tsan_switch_to_fiber_no_sync);
#endif
#ifdef USE_UCONTEXT
    swapcontext(&self.context, &next.context);
#else
    emulator_switch(&self.stack, next.stack);
#endif
#ifdef SANITIZE_ADDRESS
    __sanitizer_finish_switch_fiber(self.fake, nullptr, nullptr);
#endif
}

// Pages instead of those that were there.
struct Pages {
    unsigned char *start = nullptr;
    size_t bytes = 0;

    void renew(size_t wanted) {
        if (start) munmap(start, bytes);
        bytes = wanted;
        void *taken = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (taken == MAP_FAILED) fail("no memory for %zu bytes", bytes);
        start = static_cast<unsigned char *>(taken);
    }
};

// Gives fibers their stacks, each behind a page that must not be touched.
void make_stacks(unsigned count) {
    static Pages all;
    all.renew(count * (STACK + GUARD));
    for (unsigned i = 0; i < count; i++) {
        fibers[i].thread = i;
        fibers[i].bottom = all.start + i * (STACK + GUARD) + GUARD;
#ifndef SANITIZE_THREAD // which gets new stacks for every block
        mprotect(fibers[i].bottom - GUARD, GUARD, PROT_NONE);
#endif
    }
}

// ----------------------------------------------------------------------------------------------------------------- Block

struct Warp {
    unsigned lanes; // that there are
    unsigned waiting;
};

struct {
    const Kernel *kernel;
    const void *argument;
    unsigned threads;
    unsigned ended, at_barrier;
    Warp warps[MAX_THREADS / 32];
    // Threads that can go on: a ring, as no thread is in it twice.
    Fiber *ready[MAX_THREADS];
    unsigned first, count;
    unsigned char *shared;
} block;

int order_of_blocks;
std::mt19937 shuffler;

template <typename T> void put_in_order(T *items, size_t count) {
    if (order_of_blocks == 1) std::reverse(items, items + count);
    if (order_of_blocks == 2) std::shuffle(items, items + count, shuffler);
}

void can_go_on(Fiber &fiber) {
    fiber.waits = nullptr;
    block.ready[(block.first + block.count++) % MAX_THREADS] = &fiber;
}

const char *words(Kind kind) {
    switch (kind) {
    case Kind::Syncthreads: return "__syncthreads";
    case Kind::Syncwarp: return "__syncwarp";
    case Kind::Shuffle: return "a shuffle";
    case Kind::Ballot: return "a vote";
    case Kind::Mma: return "mma_bf16";
    }
    return "";
}

[[noreturn]] void report_deadlock() {
    std::map<std::string, std::string> threads_by_state;
    for (unsigned i = 0; i < block.threads;) {
        auto state = [](const Fiber &fiber) {
            if (fiber.ended) return std::string("ended");
            char text[80];
            snprintf(text, sizeof text, fiber.waits->kind == Kind::Syncthreads ? "wait at %s" : "wait at %s of lanes %08x",
                words(fiber.waits->kind), fiber.waits->mask);
            return std::string(text);
        };
        unsigned last = i;
        while (last + 1 < block.threads && state(fibers[last + 1]) == state(fibers[i])) last++;
        std::string &threads = threads_by_state[state(fibers[i])];
        threads += (threads.empty() ? "" : ",") + std::to_string(i) + (last > i ? "-" + std::to_string(last) : "");
        i = last + 1;
    }
    std::string all;
    for (auto &[state, threads] : threads_by_state) all += "; threads " + threads + " " + state;
    fail("deadlock%s", all.c_str());
}

void next_thread() {
    if (block.count == 0) report_deadlock();
    Fiber &next = *block.ready[block.first];
    block.first = (block.first + 1) % MAX_THREADS;
    block.count--;
    switch_to(next);
}

// What every thread starts with, and never returns from.
void run_thread() {
#ifdef SANITIZE_ADDRESS
    __sanitizer_finish_switch_fiber(nullptr, nullptr, nullptr);
#endif
    block.kernel->run(block.argument);
#ifdef SANITIZE_THREAD
    __tsan_release(&program);
#endif
    current->ended = true;
    if (++block.ended == block.threads) switch_to(program);
    else next_thread();
    abort();
}

void start(Fiber &fiber) {
    fiber.ended = false;
#ifdef USE_UCONTEXT
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.bottom;
    fiber.context.uc_stack.ss_size = STACK;
    fiber.context.uc_link = nullptr;
    makecontext(&fiber.context, run_thread, 0);
#else
    // As emulator_switch leaves a stack: six registers, where to return to, and no caller. Not all stacks start at the same place
    // of a page, as they would then share a few lines of the cache.
    void **top = reinterpret_cast<void **>(fiber.bottom + STACK - fiber.thread * 64) - 8;
    std::fill(top, top + 8, nullptr);
    top[6] = reinterpret_cast<void *>(run_thread);
    fiber.stack = top;
#endif
    can_go_on(fiber);
}

// --------------------------------------------------------------------------------------------------- What threads do together

// Orders what each of these threads did before against what each does after.
void order_memory(Fiber *first, unsigned count, unsigned lanes) {
#ifdef SANITIZE_THREAD
    // A place that no other group of threads uses, and that is new with every block: the end of a stack.
    void *place = first[lanes == 0 ? 0 : __builtin_ctz(lanes)].bottom + (count == 32 ? 0 : 64);
    for (auto step : {__tsan_release, __tsan_acquire}) {
        for (unsigned i = 0; i < count; i++) {
            if (!(lanes >> (i % 32) & 1)) continue;
            __tsan_switch_to_fiber(first[i].sanitized, __tsan_switch_to_fiber_no_sync);
            step(place);
        }
    }
    __tsan_switch_to_fiber(current->sanitized, __tsan_switch_to_fiber_no_sync);
#else
    (void)first, (void)count, (void)lanes;
#endif
}

float of_bf16(unsigned bits) { return __uint_as_float(bits << 16); }

// Row and column of an accumulator, and the same with two neighbours along k for an operand's register.
void multiply(Fiber *warp) {
    float a[16][16], b[16][8];
    for (unsigned lane = 0; lane < 32; lane++) {
        const Request &request = *warp[lane].waits;
        unsigned group = lane / 4, pair = lane % 4 * 2;
        for (unsigned i = 0; i < 2; i++) {
            for (unsigned half = 0; half < 4; half++) {
                a[group + half % 2 * 8][pair + half / 2 * 8 + i] = of_bf16(request.a[half] >> 16 * i);
            }
            for (unsigned half = 0; half < 2; half++) b[pair + half * 8 + i][group] = of_bf16(request.b[half] >> 16 * i);
        }
    }
    for (unsigned lane = 0; lane < 32; lane++) {
        for (unsigned i = 0; i < 4; i++) {
            unsigned row = lane / 4 + i / 2 * 8, column = lane % 4 * 2 + i % 2;
            float &sum = warp[lane].waits->c[i];
            for (unsigned k = 0; k < 16; k++) sum += a[row][k] * b[k][column];
        }
    }
}

void complete(Kind kind, Fiber *warp, unsigned lanes) {
    uint64_t given[32], votes = 0;
    for (unsigned lane = 0; lane < 32; lane++) {
        bool named = lanes >> lane & 1;
        given[lane] = named ? warp[lane].waits->value : UINT64_MAX; // undefined: poison
        if (named && given[lane]) votes |= 1ull << lane;
    }
    if (kind == Kind::Syncwarp) order_memory(warp, 32, lanes);
    if (kind == Kind::Mma) multiply(warp);
    for (unsigned lane = 0; lane < 32; lane++) {
        if (!(lanes >> lane & 1)) continue;
        Request &request = *warp[lane].waits;
        if (kind == Kind::Shuffle) request.value = given[request.source];
        if (kind == Kind::Ballot) request.value = votes;
    }
}

void sync_threads(Request &request) {
    current->waits = &request;
    if (++block.at_barrier < block.threads) return next_thread();
    block.at_barrier = 0;
    order_memory(fibers, block.threads, 0xffffffffu);
    Fiber *all[MAX_THREADS];
    for (unsigned i = 0; i < block.threads; i++) all[i] = &fibers[i];
    put_in_order(all, block.threads);
    for (unsigned i = 0; i < block.threads; i++) can_go_on(*all[i]);
    next_thread();
}

} // namespace

void emulator::together(Request &request) {
    if (request.kind == Kind::Syncthreads) return sync_threads(request);
    unsigned lane = current->thread % 32;
    Fiber *first = current - lane;
    Warp &warp = block.warps[current->thread / 32];
    if (!(request.mask >> lane & 1)) {
        fail("thread %u is at %s of lanes %08x, which are not its own", current->thread, words(request.kind), request.mask);
    }
    unsigned lanes = request.mask & warp.lanes;
    if (request.kind == Kind::Mma && lanes != 0xffffffffu) fail("mma_bf16 needs 32 threads");
    current->waits = &request;
    warp.waiting |= 1u << lane;
    bool all = (warp.waiting & lanes) == lanes;
    for (unsigned i = 0; all && i < 32; i++) {
        if (lanes >> i & 1) all = first[i].waits->kind == request.kind && first[i].waits->mask == request.mask;
    }
    if (!all) return next_thread();
    complete(request.kind, first, lanes);
    warp.waiting &= ~lanes;
    current->waits = nullptr;
    for (unsigned i = 0; i < 32; i++) {
        if (i != lane && lanes >> i & 1) can_go_on(first[i]);
    }
}

void *emulator::shared_memory() { return block.shared; }

emulator::Registered::Registered(const char *name, unsigned threads, size_t argument, void (*run)(const void *)) {
    kernels()[name] = Kernel{threads, argument, run};
}

namespace {

// ---------------------------------------------------------------------------------------------------------------- Memory

std::map<uintptr_t, size_t> memory;

// Memory that ends exactly where it should; the sanitizer sees that itself, else a canary stands behind it.
unsigned char *take(size_t bytes, size_t alignment) {
#ifdef SANITIZE_ADDRESS
    size_t behind = 0;
#else
    size_t behind = CANARY;
#endif
    void *taken = nullptr;
    if (posix_memalign(&taken, alignment, bytes + behind) != 0) fail("no memory for %zu bytes", bytes);
    memset(taken, POISON, bytes);
    memset(static_cast<unsigned char *>(taken) + bytes, CANARY_BYTE, behind);
    return static_cast<unsigned char *>(taken);
}

void check_canary(const char *what, const unsigned char *start, size_t bytes) {
#ifndef SANITIZE_ADDRESS
    for (size_t i = 0; i < CANARY; i++) {
        if (start[bytes + i] != CANARY_BYTE) fail("wrote %zu bytes behind the %zu of %s", i, bytes, what);
    }
#else
    (void)what, (void)start, (void)bytes;
#endif
}

void check_range(const char *what, uintptr_t address, size_t bytes) {
    auto found = memory.upper_bound(address);
    if (found == memory.begin()) fail("%s: no memory at %#zx", what, static_cast<size_t>(address));
    --found;
    if (address + bytes > found->first + found->second) {
        fail("%s: %zu bytes at %#zx are not in memory", what, bytes, static_cast<size_t>(address));
    }
}

// ---------------------------------------------------------------------------------------------------------------- Launch

int seconds_of_launch;

void set_timer(int seconds) {
    itimerval time{};
    time.it_value.tv_sec = seconds;
    setitimer(ITIMER_PROF, &time, nullptr);
}

// Shared memory of one block, as large as was asked for.
unsigned char *take_shared(size_t bytes) {
#ifdef SANITIZE_THREAD
    // What the sanitizer knows of a place goes with its pages; else blocks would seem to share this, and their stacks.
    static Pages pages;
    pages.renew(bytes + CANARY);
    make_stacks(block.threads);
    unsigned char *place = pages.start;
    memset(place + bytes, CANARY_BYTE, CANARY);
#else
    static unsigned char *place = nullptr;
    static size_t size = 0;
    if (!place || size != bytes) {
        free(place);
        place = take(bytes, 16);
        size = bytes;
    }
#endif
    memset(place, POISON, bytes);
    return place;
}

// The sanitizer's threads are dear, so there are a few sets that blocks take in turn: races are seen between a block and the next
// few. They start after what came before the launch.
void take_threads(unsigned index) {
#ifdef SANITIZE_THREAD
    static void *threads[4][MAX_THREADS];
    for (unsigned i = 0; i < block.threads; i++) {
        void *&thread = threads[index % 4][i];
        if (!thread) thread = __tsan_create_fiber(0);
        fibers[i].sanitized = thread;
    }
    __tsan_release(&block);
    for (unsigned i = 0; i < block.threads; i++) {
        __tsan_switch_to_fiber(fibers[i].sanitized, __tsan_switch_to_fiber_no_sync);
        __tsan_acquire(&block);
    }
    __tsan_switch_to_fiber(program.sanitized, __tsan_switch_to_fiber_no_sync);
#else
    (void)index;
#endif
}

void run_block(unsigned index, size_t shared) {
    blockIdx.x = index;
    block.shared = take_shared(shared);
    block.ended = block.at_barrier = block.first = block.count = 0;
    for (unsigned warp = 0; warp * 32 < block.threads; warp++) {
        unsigned lanes = std::min(32u, block.threads - warp * 32);
        block.warps[warp] = Warp{static_cast<unsigned>((1ull << lanes) - 1), 0};
    }
    take_threads(index);
    for (unsigned i = 0; i < block.threads; i++) start(fibers[i]);
    put_in_order(block.ready, block.threads);
    next_thread();
    check_canary("shared memory", block.shared, shared);
}

void launch(const std::string &name, unsigned blocks, unsigned threads, size_t shared, const std::vector<uint64_t> &argument) {
    auto found = kernels().find(name);
    if (found == kernels().end()) fail("no kernel %s", name.c_str());
    const Kernel &kernel = found->second;
    kernel_name = found->first.c_str();
    if (threads == 0 || threads > kernel.threads) fail("made for %u threads, launched with %u", kernel.threads, threads);
    if (argument.size() * 8 != (kernel.argument + 7) / 8 * 8) {
        fail("its argument has %zu bytes, launched with %zu", kernel.argument, argument.size() * 8);
    }
    void *copy = take(kernel.argument, 64);
    memcpy(copy, argument.data(), kernel.argument);
    block.kernel = &kernel;
    block.argument = copy;
    block.threads = blockDim.x = threads;
    gridDim.x = blocks;
    std::vector<unsigned> order(blocks);
    for (unsigned i = 0; i < blocks; i++) order[i] = i;
    put_in_order(order.data(), blocks);
    set_timer(seconds_of_launch);
    for (unsigned index : order) run_block(index, shared);
    set_timer(0);
#ifdef SANITIZE_THREAD
    __tsan_acquire(&program);
#endif
    for (auto &[address, bytes] : memory) check_canary("memory", reinterpret_cast<unsigned char *>(address), bytes);
    free(copy);
    kernel_name = nullptr;
}

// --------------------------------------------------------------------------------------------------------------- Program

FILE *answers;

void read_bytes(void *bytes, size_t count) {
    if (fread(bytes, 1, count, stdin) != count) exit(0); // whoever used the device has gone
}

uint64_t read_word() {
    uint64_t word;
    read_bytes(&word, sizeof word);
    return word;
}

void answer(const void *bytes, size_t count) {
    if (fwrite(bytes, 1, count, answers) != count || fflush(answers) != 0) exit(0);
}

void answer(uint64_t word) { answer(&word, sizeof word); }

std::string read_text() {
    std::string text(read_word(), ' ');
    read_bytes(&text[0], text.size());
    return text;
}

double now() {
    timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

// Orders, each with its words: the numbers are known to tests/support/emulated.rs.
void obey(uint64_t order) {
    static std::map<uint64_t, std::pair<double, double>> marks; // by queue: the last two
    switch (order) {
    case 0: { // allocate bytes
        uint64_t bytes = read_word();
        auto address = reinterpret_cast<uintptr_t>(take(bytes, 256));
        memory[address] = bytes;
        return answer(address);
    }
    case 1: { // free address
        uintptr_t address = read_word();
        auto found = memory.find(address);
        if (found == memory.end()) fail("free: no memory at %#zx", static_cast<size_t>(address));
        memset(reinterpret_cast<void *>(address), POISON, found->second);
        memory.erase(found);
        return free(reinterpret_cast<void *>(address));
    }
    case 2: { // upload address bytes, then these
        uintptr_t address = read_word();
        uint64_t bytes = read_word();
        check_range("upload", address, bytes);
        return read_bytes(reinterpret_cast<void *>(address), bytes);
    }
    case 3: { // clear address bytes
        uintptr_t address = read_word();
        uint64_t bytes = read_word();
        check_range("clear", address, bytes);
        memset(reinterpret_cast<void *>(address), 0, bytes);
        return;
    }
    case 4: { // download address bytes
        uintptr_t address = read_word();
        uint64_t bytes = read_word();
        check_range("download", address, bytes);
        return answer(reinterpret_cast<void *>(address), bytes);
    }
    case 5: { // launch blocks threads shared name argument
        uint64_t blocks = read_word(), threads = read_word(), shared = read_word();
        std::string name = read_text();
        std::vector<uint64_t> argument(read_word());
        read_bytes(argument.data(), argument.size() * 8);
        return launch(name, static_cast<unsigned>(blocks), static_cast<unsigned>(threads), shared, argument);
    }
    case 6: { // mark queue
        auto &[before, last] = marks[read_word()];
        before = last;
        last = now();
        return;
    }
    case 7: { // seconds between marks of queue
        auto &[before, last] = marks[read_word()];
        double seconds = last - before;
        return answer(&seconds, sizeof seconds);
    }
    case 8: // finish
        return answer(0);
    case 9: // be lost, with these words
        fail("%s", read_text().c_str());
    default: fail("no order %zu", static_cast<size_t>(order));
    }
}

#ifndef SANITIZE_THREAD // it would hold signals back: there they just end the program
// The processor's answer to a kernel that went wrong.
void on_signal(int signal, siginfo_t *info, void *) {
    if (signal == SIGPROF) fail("still running after %d s of processor time, thread %u", seconds_of_launch, threadIdx.x);
    fail("thread %u: %s at %p", threadIdx.x, strsignal(signal), info->si_addr);
}

void catch_signals() {
    static unsigned char stack[64 << 10];
    stack_t alternative{};
    alternative.ss_sp = stack;
    alternative.ss_size = sizeof stack;
    sigaltstack(&alternative, nullptr);
    struct sigaction action {};
    action.sa_sigaction = on_signal;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigaction(SIGPROF, &action, nullptr);
#ifndef SANITIZE_ADDRESS // which says more
    for (int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL}) sigaction(signal, &action, nullptr);
#endif
}
#else
void catch_signals() {}
#endif

} // namespace

int main(int count, char **arguments) {
    if (count != 4) fail("usage: %s ORDER SEED SECONDS", arguments[0]);
    order_of_blocks = atoi(arguments[1]);
    shuffler.seed(static_cast<unsigned>(atol(arguments[2])));
    seconds_of_launch = atoi(arguments[3]);
    // What kernels print goes to standard error.
    answers = fdopen(dup(1), "wb");
    dup2(2, 1);
    catch_signals();
    make_stacks(MAX_THREADS);
#ifdef SANITIZE_ADDRESS
    pthread_attr_t attributes;
    void *bottom = nullptr;
    pthread_getattr_np(pthread_self(), &attributes);
    pthread_attr_getstack(&attributes, &bottom, &program.size);
    program.bottom = static_cast<unsigned char *>(bottom);
    pthread_attr_destroy(&attributes);
#endif
#ifdef SANITIZE_THREAD
    program.sanitized = __tsan_get_current_fiber();
#endif
    answer(0); // started
    for (;;) obey(read_word());
}
