#include "kernels/image/argmax.hpp"

#include <string>

namespace kiban::image {

void argmax_resample(Stream& stream, Span<const float, 4> logits, const Sampling& on_logits,
                     std::optional<std::uint32_t> outside, const VoxelSpan& labels) {
  for (const Device device : {logits.device(), labels.device()})
    if (device != stream.device())
      throw Error(ErrorCode::device, "memory of " + name(device) + " was handed to work on " + name(stream.device()));
  const std::int64_t classes = logits.extent(0);
  if (classes < 1 || classes > 65536)
    throw Error(ErrorCode::input, "there are logits of " + std::to_string(classes) + " classes; give 1 to 65536");
  const auto largest = static_cast<std::uint64_t>(classes - 1);
  if (!is_label_type(labels.type()) || bytes_of(labels.type()) < bytes_of(label_type_for(largest)))
    throw Error(ErrorCode::input,
                "labels of " + std::to_string(classes) + " classes do not fit " + name(labels.type()));
  const Shape<3> shape{logits.extent(1), logits.extent(2), logits.extent(3)};
  if (labels.size() == 0) return;
  if (element_count<3>(shape) == 0) throw Error(ErrorCode::input, "logits without voxels cannot be resampled");
  ResampleRule rule{Interpolation::linear, false, std::nullopt};
  if (outside) rule.padding = *outside;
  const ConstVoxelSpan first(logits.on(stream.device()).data, VoxelType::float32, shape, logits.device());
  const auto on_axes = aligned(shape, on_logits, labels.shape(), rule);
  // A GPU gathers anyway; on a CPU rows pay.
  if (!on_axes || stream.device() != Device{})
    return KIBAN_BACKEND_FOR(stream, argmax_anywhere)(stream, logits, on_logits, rule, labels);
  TapsOfAxes taps;
  for (std::size_t a = 0; a < 3; ++a) taps[a] = taps_of(on_axes->map[a], TapKernel::linear, 0);
  cpu::argmax_along(stream, logits, seen_along(first, *on_axes), taps, outside.value_or(0), labels);
}

}  // namespace kiban::image
