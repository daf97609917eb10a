#include "kernels/core/array.hpp"

#include <fmt/format.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "kernels/core/device_hooks.hpp"

namespace kiban {

std::shared_ptr<void> allocate(Device device, std::size_t bytes) {
  if (device.kind != DeviceKind::cpu) {
    require_device(device);
    return {KIBAN_HOOK(device, device_allocate)(device.index, bytes), [device](void* memory) {
              KIBAN_HOOK(device, device_release)(device.index, memory);
            }};
  }
  // A cache line and the widest vector; for large arrays a huge page, or every column of a panel misses the TLB.
  constexpr std::size_t kHugePage = std::size_t{2} << 20;
  const bool large = bytes >= 4 * kHugePage;
  const std::size_t alignment = large ? kHugePage : 64;
  const std::size_t rounded = (bytes + alignment - 1) / alignment * alignment;
  void* memory = rounded < bytes ? nullptr : std::aligned_alloc(alignment, rounded ? rounded : alignment);
  if (!memory)
    throw Error(ErrorCode::input,
                fmt::format("this needs {:.1f} GiB of memory, which this process does not get; ask for fewer or larger "
                            "voxels, or use a machine with more memory",
                            static_cast<double>(bytes) / (1 << 30)),
                ENOMEM);
  if (large) madvise(memory, rounded, MADV_HUGEPAGE);  // a wish: without it everything is right, and slower
  return {memory, std::free};
}

namespace {

/// The device whose runtime moves the bytes; the CPU if both ends are host memory.
Device mover(Device a, Device b) {
  if (a.kind != DeviceKind::cpu && b.kind != DeviceKind::cpu && a.kind != b.kind)
    throw Error(ErrorCode::device, "no copy between " + name(a) + " and " + name(b));
  return a.kind == DeviceKind::cpu ? b : a;
}

}  // namespace

void copy_bytes(Stream& stream, void* to, Device to_device, const void* from, Device from_device, std::size_t bytes) {
  if (bytes == 0) return;
  const Device device = mover(to_device, from_device);
  if (device.kind == DeviceKind::cpu) {
    std::memcpy(to, from, bytes);
    return;
  }
  if (stream.device() != device)
    throw Error(ErrorCode::device, "a copy to or from " + name(device) + " on a stream of " + name(stream.device()));
  KIBAN_HOOK(device, device_copy)(device.index, stream.native(), to, from, bytes);
}

void zero_bytes(Stream& stream, void* to, Device device, std::size_t bytes) {
  if (bytes == 0) return;
  if (device.kind == DeviceKind::cpu) {
    std::memset(to, 0, bytes);
    return;
  }
  if (stream.device() != device)
    throw Error(ErrorCode::device, "memory of " + name(device) + " on a stream of " + name(stream.device()));
  KIBAN_HOOK(device, device_zero)(device.index, stream.native(), to, bytes);
}

}  // namespace kiban
