// The mathematics, once, for a CPU and for a GPU. No include guard: every backend includes it into a namespace of its
// own, where KIBAN_HD says how its functions are compiled.

/// A threshold as numbers of T are compared with it: value >= threshold for all values of T alike. Whole numbers reach
/// a threshold where they reach the next whole number; `never` where none does.
template <class T>
struct Bound {
  T least;
  bool never;
};

template <class T>
KIBAN_HD bool reaches(T value, const Bound<T>& bound) {
  return !bound.never && value >= bound.least;
}

/// The bin of a value; the caller knows that it is finite.
KIBAN_HD inline std::int64_t bin_of(double value, double first_edge, double width, std::int64_t bins) {
  const double place = (value - first_edge) / width;
  const std::int64_t bin = static_cast<std::int64_t>(place);
  return bin < bins - 1 ? bin : bins - 1;
}
