#pragma once
#include <cstddef>
#include <optional>

#include "engine/operations/voxels_port.hpp"

namespace kiban::engine {

/// What operations share that make a label map `labels` of a whole volume `image`, on its grid.
class LabelMapWork : public Work {
 public:
  Plan plan(Device device) const override;
  void run(Stream& stream, Progress& progress) override;
  void store(Progress& progress) override;

 protected:
  ///   use      what `image` is to this operation
  ///   widest   type of the labels at most; none: that of the image
  LabelMapWork(const Request& request, VoxelUse use, std::optional<VoxelType> widest);

  /// Computes the labels into room of `output`.
  virtual void compute(Stream& stream, const ConstVoxelSpan& image, VoxelSink& output) = 0;
  /// Memory of the device beyond image and labels.
  virtual std::size_t workspace_bytes() const { return 0; }

  const Values& parameters() const { return request_.parameters; }
  const VoxelSource& input() const { return input_; }

 private:
  Request request_;
  VoxelSource input_;
  VoxelType widest_;
  std::optional<VoxelSink> output_;
};

}  // namespace kiban::engine
