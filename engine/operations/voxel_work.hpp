#pragma once
#include <cstddef>
#include <optional>
#include <string>

#include "engine/operations/voxels_port.hpp"

namespace kiban::engine {

/// What operations share that make one volume of a whole volume `image`, on its grid or another.
class VoxelWork : public Work {
 public:
  Plan plan(Device device) const override;
  void run(Stream& stream, Progress& progress) override;
  void store(Progress& progress) override;

 protected:
  ///   use      what `image` is to this operation
  ///   result   the output port
  ///   widest   type of its voxels at most; none: that of the image
  VoxelWork(const Request& request, VoxelUse use, std::string result, std::optional<VoxelType> widest);

  /// Computes the result into room of `output`. What it throws is told with the image's name.
  virtual void compute(Stream& stream, const ConstVoxelSpan& image, VoxelSink& output) = 0;
  /// Where the result lies: on the image's grid.
  virtual const Grid& result_grid() const { return input_.grid(); }
  /// Memory of the device beyond image and result.
  virtual std::size_t workspace_bytes(Device) const { return 0; }

  const Values& parameters() const { return request_.parameters; }
  const VoxelSource& input() const { return input_; }

 private:
  Request request_;
  VoxelSource input_;
  std::string result_;
  VoxelType widest_;
  std::optional<VoxelSink> output_;
};

}  // namespace kiban::engine
