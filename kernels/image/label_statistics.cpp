#include "kernels/image/label_statistics.hpp"

namespace kiban::image {

std::vector<LabelStatistics> label_statistics(Stream& stream, const ConstVoxelSpan& labels,
                                              const ConstVoxelSpan& image) {
  with_label_type(labels.type(), []<class T>() {});
  const bool has_image = image.data() != nullptr;
  if (has_image && image.shape() != labels.shape())
    throw Error(ErrorCode::internal, "statistics of labels and of an image of another shape were asked for");
  for (const Device device : {labels.device(), has_image ? image.device() : labels.device()})
    if (device != stream.device())
      throw Error(ErrorCode::device, "memory of " + name(device) + " was handed to work on " + name(stream.device()));
  std::vector<LabelStatistics> statistics;
  if (labels.size() != 0) KIBAN_BACKEND_FOR(stream, measure_labels)(stream, labels, image, statistics);
  return statistics;
}

}  // namespace kiban::image
