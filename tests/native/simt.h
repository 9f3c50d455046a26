// Runs CUDA-style kernels on the CPU, so that ThreadSanitizer and AddressSanitizer see them: one std::thread per CUDA thread.
// Blocks run one after another, or `simt::blocks_at_once` of them side by side, to find races between blocks as well.
// Emulated: threadIdx, blockIdx, blockDim, gridDim, __syncthreads, shuffles of whole warps, __ldg, shared memory (KNAS_SHARED), threads that
// return early. Shared memory starts as 0xff bytes (NaN), so that what was never written shows.
#pragma once
#include <algorithm>
#include <barrier>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#define __global__
#define __device__
#define __launch_bounds__(...)
#define KNAS_SHARED(type, name) type& name = simt::shared_object<type>()
#define KNAS_UNROLL
#define KNAS_NO_UNROLL

struct dim3 {
  unsigned x = 1, y = 1, z = 1;
  dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};

struct CUstream_st;
using cudaStream_t = CUstream_st*;

namespace simt {

constexpr unsigned kWarpSize = 32;
inline unsigned blocks_at_once = 1;

struct Warp {
  std::barrier<> barrier;
  std::uint64_t slot[2][kWarpSize];  // two sets: a lane may write for the next shuffle while others still read this one's
  explicit Warp(unsigned threads) : barrier(threads) {}
};

struct Block {
  std::barrier<> barrier;
  std::vector<std::unique_ptr<Warp>> warps;
  std::mutex mutex;
  std::map<const void*, std::vector<std::uint64_t>> shared;  // by type; 8-byte words, so that the end is where ASan looks for it

  explicit Block(unsigned threads) : barrier(threads) {
    for (unsigned t = 0; t < threads; t += kWarpSize) warps.push_back(std::make_unique<Warp>(std::min(kWarpSize, threads - t)));
  }
};

inline thread_local dim3 thread_index, block_index, block_size, grid_size;
inline thread_local Block* block;
inline thread_local unsigned lane, warp, shuffle;

template <class T> struct TypeKey {
  static inline const char key = 0;
};

template <class T> T& shared_object() {
  const std::lock_guard lock(block->mutex);
  auto& words = block->shared[&TypeKey<T>::key];
  if (words.empty()) words.assign((sizeof(T) + alignof(T) + 7) / 8, ~std::uint64_t(0));
  const auto address = (reinterpret_cast<std::uintptr_t>(words.data()) + alignof(T) - 1) / alignof(T) * alignof(T);
  return *reinterpret_cast<T*>(address);
}

// One CUDA thread's way through every block that its team runs.
template <class F>
void run_thread(const F& kernel, dim3 grid, dim3 size, unsigned t, unsigned team, std::barrier<>& gate, std::unique_ptr<Block>& state) {
  block_size = size, grid_size = grid, lane = t % kWarpSize, warp = t / kWarpSize;
  thread_index = {t % size.x, t / size.x % size.y, t / (size.x * size.y)};
  const std::uint64_t blocks = std::uint64_t(grid.x) * grid.y * grid.z;
  for (std::uint64_t b = team; b < blocks; b += blocks_at_once) {
    if (t == 0) state = std::make_unique<Block>(size.x * size.y * size.z);
    gate.arrive_and_wait();
    block = state.get(), shuffle = 0;
    block_index = {unsigned(b % grid.x), unsigned(b / grid.x % grid.y), unsigned(b / grid.x / grid.y)};
    kernel();
    block->warps[warp]->barrier.arrive_and_drop();  // a thread that has returned is not waited for
    block->barrier.arrive_and_drop();
    gate.arrive_and_wait();
  }
}

// kernel<<<grid, size>>>(arguments...), and a wait for its end.
template <class... P, class... A> void launch(void (*kernel)(P...), dim3 grid, dim3 size, A... arguments) {
  const unsigned threads = size.x * size.y * size.z;
  const auto call = [&] { kernel(arguments...); };
  std::vector<std::unique_ptr<Block>> states(blocks_at_once);
  std::vector<std::unique_ptr<std::barrier<>>> gates;
  std::vector<std::jthread> workers;
  for (unsigned team = 0; team < blocks_at_once; ++team) gates.push_back(std::make_unique<std::barrier<>>(threads));
  for (unsigned team = 0; team < blocks_at_once; ++team) {
    for (unsigned t = 0; t < threads; ++t) {
      workers.emplace_back([&, t, team] { run_thread(call, grid, size, t, team, *gates[team], states[team]); });
    }
  }
}

}  // namespace simt

#define threadIdx simt::thread_index
#define blockIdx simt::block_index
#define blockDim simt::block_size
#define gridDim simt::grid_size

inline void __syncthreads() { simt::block->barrier.arrive_and_wait(); }

namespace simt {

// What lane `from` of the warp holds, for every lane at once.
template <class T> T shuffled(T value, unsigned from) {
  auto& warp = *block->warps[simt::warp];
  auto& slot = warp.slot[shuffle++ % 2];
  std::memcpy(&slot[lane], &value, sizeof value);
  warp.barrier.arrive_and_wait();
  T other;
  std::memcpy(&other, &slot[from], sizeof other);
  return other;
}

}  // namespace simt

template <class T> T __shfl_xor_sync(unsigned, T value, int mask) { return simt::shuffled(value, simt::lane ^ unsigned(mask)); }
template <class T> T __shfl_up_sync(unsigned, T value, unsigned by) { return simt::shuffled(value, simt::lane < by ? simt::lane : simt::lane - by); }
template <class T> T __shfl_down_sync(unsigned, T value, unsigned by) {
  return simt::shuffled(value, simt::lane + by < simt::kWarpSize ? simt::lane + by : simt::lane);
}

struct alignas(8) uint2 { unsigned x, y; };
struct alignas(16) uint4 { unsigned x, y, z, w; };
struct alignas(16) double2 { double x, y; };

// The address may be that of other types than T, as it may on a GPU, but must be a multiple of T's size, as there.
template <class T> T __ldg(const T* address) {
  if (reinterpret_cast<std::uintptr_t>(address) % sizeof(T) != 0) std::abort();
  T value;
  std::memcpy(&value, static_cast<const void*>(address), sizeof value);
  return value;
}

namespace knas::cuda {

// What the launchers of cuda/*.cu call instead of <<<...>>>: a test may include those files whole.
template <class... P, class... A>
void launch(void (*kernel)(P...), dim3 grid, unsigned threads, cudaStream_t, const A&... arguments) {
  simt::launch(kernel, grid, dim3{threads}, P(arguments)...);
}

}  // namespace knas::cuda
