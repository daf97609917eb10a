// The mathematics, once, for a CPU and for a GPU. No include guard: every backend includes it into a namespace of its
// own, where KIBAN_HD says how its functions are compiled.

/// No label so near.
constexpr float kNowhere = 1e30F;

/// A line of a volume: squares to the nearest label so far, and that label.
template <class T>
struct LabelLine {
  float* squares;
  T* labels;
  std::int64_t length, stride;
  float step;  ///< between its voxels
  float most;  ///< squares above it do not count

  KIBAN_HD float height(std::int64_t j) const { return squares[j * stride]; }
  KIBAN_HD float value(std::int64_t of, std::int64_t at) const {
    const float apart = static_cast<float>(at - of) * step;
    return apart * apart + height(of);
  }
};

/// Whether a voxel's label can be the nearest of another voxel: one between two that are labelled can not.
template <class T>
KIBAN_HD bool counts(const LabelLine<T>& line, std::int64_t j) {
  const float own = line.height(j);
  if (own > line.most || own >= kNowhere) return false;
  return own != 0 || j == 0 || j + 1 == line.length || line.height(j - 1) != 0 || line.height(j + 1) != 0;
}

/// Where parabola `late` becomes lower than `early`.
template <class T>
KIBAN_HD float crossing(const LabelLine<T>& line, std::int64_t early, std::int64_t late) {
  const float steps = static_cast<float>(late - early);
  return 0.5F * static_cast<float>(late + early) +
         (line.height(late) - line.height(early)) / (2 * line.step * line.step * steps);
}

/// Lower envelope of the parabolas over a line's labels, and the nearest label and its square at each voxel: of those
/// as near the smallest label. `lists`: site(k) and from(k) for k up to the line's length; new_square(j), new_label(j),
/// which may not be the line itself, for it is read until the last voxel is done.
template <class T, class Lists>
KIBAN_HD void spread_along(const LabelLine<T>& line, Lists lists) {
  std::int64_t count = 0;
  for (std::int64_t j = 0; j < line.length; ++j) {
    if (!counts(line, j)) continue;
    float from = -kNowhere;
    while (count > 0) {
      from = crossing(line, lists.site(count - 1), j);
      if (from >= lists.from(count - 1)) break;  // one that is lowest at a single point may hold the smaller label
      --count;
      from = -kNowhere;
    }
    lists.site(count) = static_cast<std::int32_t>(j);
    lists.from(count) = from;
    ++count;
  }
  std::int64_t top = count - 1;
  for (std::int64_t j = line.length - 1; j >= 0; --j) {
    if (line.height(j) == 0) {
      lists.new_square(j) = 0;
      lists.new_label(j) = line.labels[j * line.stride];
      continue;
    }
    if (count == 0) {
      lists.new_square(j) = kNowhere;
      lists.new_label(j) = T(0);
      continue;
    }
    while (top > 0 && lists.from(top) > static_cast<float>(j)) --top;
    float least = line.value(lists.site(top), j);
    T label = line.labels[lists.site(top) * line.stride];
    // Neighbours in the envelope that are as low here; one beyond where rounding has moved the crossing, too.
    const std::int64_t first = top + 1 < count ? top + 1 : top;
    for (std::int64_t k = first; k >= 0; --k) {
      if (k == top) continue;
      const float value = line.value(lists.site(k), j);
      if (value > least) {
        if (k > top) continue;
        break;
      }
      const T other = line.labels[lists.site(k) * line.stride];
      if (value < least || other < label) label = other;
      least = value;
    }
    lists.new_square(j) = least;
    lists.new_label(j) = label;
  }
}
