// The mathematics, once, for a CPU and for a GPU. No include guard: every backend includes it into a namespace of its
// own, where KIBAN_HD says how its functions are compiled.

/// Where the voxels of a result lie on an image of `extent` voxels along x, y, z.
struct Placement {
  double matrix[3][3], offset[3];
  std::int64_t extent[3];
  bool extend;
};

/// The position of result's voxel x, y, z, to 2^-20 of a voxel; false: outside of the image.
KIBAN_HD inline bool place_of(const Placement& on, double x, double y, double z, double place[3]) {
  constexpr double kFractions = 1 << 20;
  bool is_inside = true;
  for (int a = 0; a < 3; ++a) {
    const double* const row = on.matrix[a];
    const double last = static_cast<double>(on.extent[a] - 1);
    double at = row[0] * x + row[1] * y + row[2] * z + on.offset[a];
    at = floor(at * kFractions + 0.5) / kFractions;
    is_inside = is_inside && (on.extend || (at >= -0.5 && at <= last + 0.5));
    if (on.extend) at = at < 0 ? 0 : at > last ? last : at;
    place[a] = at;
  }
  return is_inside;
}

/// The voxels on both sides of a position, and how much the second weighs.
struct Between {
  std::int64_t low, high;
  double of_high;
};
KIBAN_HD inline Between between(double place, std::int64_t extent) {
  const double last = static_cast<double>(extent - 1);
  const double within = place < 0 ? 0 : place > last ? last : place;
  const std::int64_t low = static_cast<std::int64_t>(within);
  const double of_high = within - static_cast<double>(low);
  return {low, of_high > 0 ? low + 1 : low, of_high};
}

KIBAN_HD inline std::int64_t nearest_to(double place, std::int64_t extent) {
  const std::int64_t nearest = static_cast<std::int64_t>(floor(place + 0.5));
  return nearest < 0 ? 0 : nearest >= extent ? extent - 1 : nearest;
}

/// The four voxels, mirrored at the borders, and their weights.
struct SplineTaps {
  std::int64_t index[4];
  float weight[4];
};
KIBAN_HD inline SplineTaps spline_taps(double place, std::int64_t extent) {
  SplineTaps taps;
  const double low = floor(place), t = place - low, s = 1 - t;
  const double weight[4] = {s * s * s / 6, (4 - 6 * t * t + 3 * t * t * t) / 6, (4 - 6 * s * s + 3 * s * s * s) / 6,
                            t * t * t / 6};
  const std::int64_t period = extent > 1 ? 2 * (extent - 1) : 1;
  for (int k = 0; k < 4; ++k) {
    const std::int64_t within = ((static_cast<std::int64_t>(low) - 1 + k) % period + period) % period;
    taps.index[k] = within < extent ? within : period - within;
    taps.weight[k] = static_cast<float>(weight[k]);
  }
  return taps;
}

/// Votes for labels, few of which differ. Weights are whole numbers, so that sums depend on no order.
template <class T, int kMost>
struct Votes {
  T label[kMost];
  std::uint64_t weight[kMost];
  int count = 0;

  KIBAN_HD void add(T voted, std::uint64_t with) {
    for (int i = 0; i < count; ++i)
      if (label[i] == voted) {
        weight[i] += with;
        return;
      }
    if (count == kMost) return;
    label[count] = voted;
    weight[count++] = with;
  }
  KIBAN_HD T winner() const {
    int best = 0;
    for (int i = 1; i < count; ++i)
      if (weight[i] > weight[best] || (weight[i] == weight[best] && label[i] < label[best])) best = i;
    return label[best];
  }
};

/// A weight in steps of 2^-20, of which a product of three fits 64 bits.
KIBAN_HD inline std::uint64_t vote_weight(double weight) { return static_cast<std::uint64_t>(weight * 1048576 + 0.5); }

/// The value at a position by linear weights along x, then y, then z.
template <class T>
KIBAN_HD float linear_at(const T* image, const std::int64_t extent[3], const double place[3]) {
  Between at[3];
  float high[3];
  for (int a = 0; a < 3; ++a) {
    at[a] = between(place[a], extent[a]);
    high[a] = static_cast<float>(at[a].of_high);
  }
  float along_z[2];
  for (int k = 0; k < 2; ++k) {
    float along_y[2];
    for (int j = 0; j < 2; ++j) {
      const T* const row =
          image + ((k ? at[2].high : at[2].low) * extent[1] + (j ? at[1].high : at[1].low)) * extent[0];
      const float low = static_cast<float>(row[at[0].low]);
      along_y[j] = (1 - high[0]) * low + high[0] * static_cast<float>(row[at[0].high]);
    }
    along_z[k] = (1 - high[1]) * along_y[0] + high[1] * along_y[1];
  }
  return (1 - high[2]) * along_z[0] + high[2] * along_z[1];
}

KIBAN_HD inline float spline_at(const float* coefficients, const std::int64_t extent[3], const double place[3]) {
  const SplineTaps x = spline_taps(place[0], extent[0]), y = spline_taps(place[1], extent[1]),
                   z = spline_taps(place[2], extent[2]);
  float sum = 0;
  for (int k = 0; k < 4; ++k)
    for (int j = 0; j < 4; ++j) {
      const float* const row = coefficients + (z.index[k] * extent[1] + y.index[j]) * extent[0];
      const float along_x = x.weight[0] * row[x.index[0]] + x.weight[1] * row[x.index[1]] +
                            x.weight[2] * row[x.index[2]] + x.weight[3] * row[x.index[3]];
      sum += z.weight[k] * y.weight[j] * along_x;
    }
  return sum;
}

/// The label with the largest weight among the eight voxels around.
template <class T>
KIBAN_HD T vote_at(const T* labels, const std::int64_t extent[3], const double place[3]) {
  const Between x = between(place[0], extent[0]), y = between(place[1], extent[1]), z = between(place[2], extent[2]);
  Votes<T, 8> votes;
  for (int corner = 0; corner < 8; ++corner) {
    const bool hx = corner & 1, hy = corner & 2, hz = corner & 4;
    const std::uint64_t weight = vote_weight(hx ? x.of_high : 1 - x.of_high) *
                                 vote_weight(hy ? y.of_high : 1 - y.of_high) *
                                 vote_weight(hz ? z.of_high : 1 - z.of_high);
    if (weight != 0)
      votes.add(labels[((hz ? z.high : z.low) * extent[1] + (hy ? y.high : y.low)) * extent[0] + (hx ? x.high : x.low)],
                weight);
  }
  return votes.winner();
}

template <class T>
KIBAN_HD T nearest_at(const T* image, const std::int64_t extent[3], const double place[3]) {
  return image[(nearest_to(place[2], extent[2]) * extent[1] + nearest_to(place[1], extent[1])) * extent[0] +
               nearest_to(place[0], extent[0])];
}

/// The number of T nearest to a value; 0 for what is not a number.
template <class T>
KIBAN_HD T rounded(float value, T least, T most) {
  if (static_cast<T>(0.5F) != T(0)) return static_cast<T>(value);
  if (!(value == value)) return T(0);
  const double number = rint(static_cast<double>(value));
  return number <= static_cast<double>(least)  ? least
         : number >= static_cast<double>(most) ? most
                                               : static_cast<T>(number);
}

/// Weighted voxels around a position of an aligned grid, by axis (0 = x).
template <class T>
struct Window {
  const T* first;
  std::int64_t stride[3], count[3];
  const std::uint32_t* weight[3];  ///< in steps of 2^-20
  std::int64_t weight_stride[3];

  KIBAN_HD std::uint64_t weight_of(int axis, std::int64_t k) const { return weight[axis][k * weight_stride[axis]]; }
};

/// In a window of at most eight voxels.
template <class T>
KIBAN_HD T vote_of_few(const Window<T>& window) {
  Votes<T, 8> votes;
  for (std::int64_t k = 0; k < window.count[2]; ++k)
    for (std::int64_t j = 0; j < window.count[1]; ++j)
      for (std::int64_t i = 0; i < window.count[0]; ++i)
        votes.add(window.first[k * window.stride[2] + j * window.stride[1] + i * window.stride[0]],
                  window.weight_of(0, i) * window.weight_of(1, j) * window.weight_of(2, k));
  return votes.winner();
}

/// The label with the largest weight in a window; labels come in ascending order, each with a walk of its own.
template <class T>
KIBAN_HD T vote_over(const Window<T>& window) {
  T least = *window.first, most = least;
  for (std::int64_t k = 0; k < window.count[2]; ++k)
    for (std::int64_t j = 0; j < window.count[1]; ++j)
      for (std::int64_t i = 0; i < window.count[0]; ++i) {
        const T label = window.first[k * window.stride[2] + j * window.stride[1] + i * window.stride[0]];
        least = label < least ? label : least;
        most = label > most ? label : most;
      }
  if (least == most) return least;
  if (window.count[0] * window.count[1] * window.count[2] <= 8) return vote_of_few(window);
  T candidate = least, winner = least;
  std::uint64_t largest = 0;
  while (true) {
    std::uint64_t sum = 0, all = 0;
    T next = most;
    for (std::int64_t k = 0; k < window.count[2]; ++k)
      for (std::int64_t j = 0; j < window.count[1]; ++j)
        for (std::int64_t i = 0; i < window.count[0]; ++i) {
          const T label = window.first[k * window.stride[2] + j * window.stride[1] + i * window.stride[0]];
          const std::uint64_t weight = window.weight_of(0, i) * window.weight_of(1, j) * window.weight_of(2, k);
          all += weight;
          sum += label == candidate ? weight : 0;
          next = label > candidate && label < next ? label : next;
        }
    if (sum > largest) {
      largest = sum;
      winner = candidate;
    }
    if (candidate == most || largest > all / 2) return winner;
    candidate = next;
  }
}

/// The class with the largest value at a position, of equal ones the first.
KIBAN_HD inline std::int64_t largest_at(const float* values, std::int64_t classes, std::int64_t of_class,
                                        const std::int64_t extent[3], const double place[3]) {
  std::int64_t best = 0;
  float largest = -INFINITY;
  for (std::int64_t c = 0; c < classes; ++c) {
    const float value = linear_at(values + c * of_class, extent, place);
    if (!(value > largest)) continue;
    largest = value;
    best = c;
  }
  return best;
}
