// Included inside the namespace of a backend, which defines KIBAN_HD and, for its value type T,
//   splat<T>(float), add(T, T), subtract(T, T), multiply(T, T), divide(T, T), multiply_add(T, T, T) = a b + c,
//   square_root(T), positive_part(T), where_positive(T, T) = second where the first is positive, else 0,
//   where_at_most_one(T, T) = second where the first is at most 1, else 0.

template <class T>
KIBAN_HD inline T quadratic(const Quadratic& q, T u, T v) {
  const T linear_u = multiply_add(u, splat<T>(q.c[3]), multiply_add(v, splat<T>(q.c[4]), splat<T>(q.c[1])));
  const T linear_v = multiply_add(v, splat<T>(q.c[5]), splat<T>(q.c[2]));
  return multiply_add(u, linear_u, multiply_add(v, linear_v, splat<T>(q.c[0])));
}

/// Density times the share of the ray from source to pixel that lies inside, for pixel (u, v).
template <class T>
KIBAN_HD inline T weighted_chord(const EllipsoidShadow& shadow, T u, T v) {
  const T du = subtract(u, splat<T>(shadow.u)), dv = subtract(v, splat<T>(shadow.v));
  const T speed = quadratic(shadow.speed, du, dv);
  const T half = divide(square_root(positive_part(quadratic(shadow.discriminant, du, dv))), speed);
  const T ahead = quadratic(shadow.ahead, du, dv);
  const T length = shadow.holds_source != 0 ? positive_part(add(divide(ahead, speed), half))
                                            : where_positive(ahead, add(half, half));
  return multiply(splat<T>(shadow.density), length);
}

/// Density of the ball at voxel x of the row that starts at `row` (in the ball's frame).
template <class T>
KIBAN_HD inline T density_at(const UnitBall& ball, const float row[3], T x) {
  const T b0 = multiply_add(x, splat<T>(ball.dx[0]), splat<T>(row[0]));
  const T b1 = multiply_add(x, splat<T>(ball.dx[1]), splat<T>(row[1]));
  const T b2 = multiply_add(x, splat<T>(ball.dx[2]), splat<T>(row[2]));
  const T squared = multiply_add(b0, b0, multiply_add(b1, b1, multiply(b2, b2)));
  return where_at_most_one(squared, splat<T>(ball.density));
}

/// Start of the row of voxels (y, z) in the ball's frame.
KIBAN_HD inline void row_start(const UnitBall& ball, float y, float z, float row[3]) {
  for (int a = 0; a < 3; ++a) row[a] = ball.origin[a] + y * ball.dy[a] + z * ball.dz[a];
}
