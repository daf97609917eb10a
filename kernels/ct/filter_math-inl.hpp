// Included inside the namespace of a backend, which defines KIBAN_HD.

/// The weight of the pixels of one detector row, as a function of the column u:
///   (c0 + c1 u) / sqrt(q0 + u (q1 + u q2))
struct RowWeight {
  float c0, c1, q0, q1, q2;
};

/// In double, as the squares are of hundreds of mm.
inline RowWeight row_weight(const FilterPlan::ViewWeight& view, std::int64_t v) {
  if (view.parallel) return {static_cast<float>(view.scale), 0, 1, 0, 0};
  const Vec3 start = view.ray + static_cast<double>(v) * view.dv;
  return {static_cast<float>(view.scale * (view.a + view.bv * static_cast<double>(v))),
          static_cast<float>(view.scale * view.bu), static_cast<float>(dot(start, start)),
          static_cast<float>(2 * dot(start, view.du)), static_cast<float>(dot(view.du, view.du))};
}

KIBAN_HD inline float pixel_weight(const RowWeight& row, float u) {
  return (row.c0 + row.c1 * u) / sqrtf(row.q0 + u * (row.q1 + u * row.q2));
}
