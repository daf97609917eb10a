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

/// Density of the ball at a voxel, 0 outside.
template <class T>
KIBAN_HD inline T density_at(const UnitBall& ball, T x, T y, T z) {
  T squared = splat<T>(0.0f);
  for (int a = 0; a < 3; ++a) {
    const T row =
        multiply_add(y, splat<T>(ball.dy[a]), multiply_add(z, splat<T>(ball.dz[a]), splat<T>(ball.origin[a])));
    const T b = multiply_add(x, splat<T>(ball.dx[a]), row);
    squared = multiply_add(b, b, squared);
  }
  return where_at_most_one(squared, splat<T>(ball.density));
}
