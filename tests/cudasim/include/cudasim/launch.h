#pragma once
#include <cstddef>
#include <functional>

#include "cudasim/runtime_api.h"
#include "cudasim/vector_types.h"

namespace cudasim {

/// The order in which blocks, threads and independent streams take their turns. A correct kernel gives the same answer
/// in all of them.
enum class Order { forward, reverse, shuffled };
inline constexpr Order kOrders[] = {Order::forward, Order::reverse, Order::shuffled};

/// The order of everything that runs from here to the end of the scope.
class ScopedOrder {
 public:
  explicit ScopedOrder(Order order);
  ~ScopedOrder();
  ScopedOrder(const ScopedOrder&) = delete;
  ScopedOrder& operator=(const ScopedOrder&) = delete;

 private:
  Order before_;
};

/// Adds host work to a stream, done when the stream is: the simulated twins of library calls. Runs with device memory
/// open.
void enqueue(cudaStream_t stream, std::function<void()> work);

/// Adds a launch to a stream; `body` is called once for each CUDA thread. A bad shape shows in cudaGetLastError().
void launch_threads(cudaStream_t stream, dim3 grid, dim3 block, std::function<void()> body);

template <class... Parameter>
void launch(cudaStream_t stream, dim3 grid, dim3 block, void (*kernel)(Parameter...),
            std::type_identity_t<Parameter>... arguments) {
  launch_threads(stream, grid, block, [=] { kernel(arguments...); });
}

/// Context switches between fibers so far: what a kernel costs here beside its arithmetic.
std::size_t switches();

}  // namespace cudasim
