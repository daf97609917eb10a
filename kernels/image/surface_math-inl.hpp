// The mathematics, once, for a CPU and for a GPU. No include guard: every backend includes it into a namespace of its
// own, where KIBAN_HD says how its functions are compiled.

/// Where the corners of a box's voxels lie in a volume, z, y, x: corner 0 is before voxel `first`.
struct CornerFrame {
  std::int64_t extent[3], first[3], last[3];
};
template <class Frame>
Frame corner_frame(const ConstVoxelSpan& labels, const VoxelBox& box) {
  Frame frame;
  for (int axis = 0; axis < 3; ++axis) {
    frame.extent[axis] = labels.extent(axis);
    frame.first[axis] = box.first[static_cast<std::size_t>(2 - axis)];
    frame.last[axis] = box.last[static_cast<std::size_t>(2 - axis)];
  }
  return frame;
}

/// Which of the eight voxels around a corner have the label; outside of the box none has.
template <class T>
KIBAN_HD std::uint8_t code_at(const T* labels, const CornerFrame& frame, std::uint32_t label, std::int64_t z,
                              std::int64_t y, std::int64_t x) {
  unsigned code = 0;
  for (int corner = 0; corner < 8; ++corner) {
    const std::int64_t place[3] = {frame.first[0] + z - 1 + (corner >> 2), frame.first[1] + y - 1 + (corner >> 1 & 1),
                                   frame.first[2] + x - 1 + (corner & 1)};
    bool is_inside = true;
    for (int axis = 0; axis < 3; ++axis)
      is_inside = is_inside && place[axis] >= frame.first[axis] && place[axis] <= frame.last[axis];
    if (is_inside && static_cast<std::uint32_t>(
                         labels[(place[0] * frame.extent[1] + place[1]) * frame.extent[2] + place[2]]) == label)
      code |= 1U << (7 - corner);
  }
  return static_cast<std::uint8_t>(code);
}
