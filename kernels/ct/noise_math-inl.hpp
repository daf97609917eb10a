// Included inside the namespace of a backend, which defines KIBAN_HD.

struct RandomBits {
  std::uint32_t word[4];
};

/// Philox4x32-10: 128 random bits of a counter and a key.
KIBAN_HD inline RandomBits philox(RandomBits counter, std::uint32_t key0, std::uint32_t key1) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t a = std::uint64_t{0xD2511F53u} * counter.word[0];
    const std::uint64_t b = std::uint64_t{0xCD9E8D57u} * counter.word[2];
    counter = {{static_cast<std::uint32_t>(b >> 32) ^ counter.word[1] ^ key0, static_cast<std::uint32_t>(b),
                static_cast<std::uint32_t>(a >> 32) ^ counter.word[3] ^ key1, static_cast<std::uint32_t>(a)}};
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  return counter;
}

/// Uniform in (0, 1), from 53 bits.
KIBAN_HD inline double unit_interval(std::uint32_t high, std::uint32_t low) {
  const std::uint64_t bits = (std::uint64_t{high} << 32 | low) >> 11;
  return (static_cast<double>(bits) + 0.5) * 0x1p-53;
}

/// A count of the Poisson distribution with this mean.
KIBAN_HD inline double poisson(double mean, const RandomBits& bits) {
  constexpr double kFew = 32;
  const double u = unit_interval(bits.word[0], bits.word[1]);
  if (mean < kFew) {
    // By inversion: the first count whose cumulated probability exceeds u.
    double probability = exp(-mean), cumulated = probability, count = 0;
    while (u > cumulated && count < 1000) {
      count += 1;
      probability *= mean / count;
      cumulated += probability;
    }
    return count;
  }
  // Cornish and Fisher's expansion of the quantile about that of the normal distribution, drawn after Box and Muller.
  const double w = sqrt(-2 * log(u)) * cos(6.283185307179586 * unit_interval(bits.word[2], bits.word[3]));
  const double ww = w * w, root = sqrt(mean);
  const double count = mean + root * w + (1.0 / 3 + ww / 6) - w * (1.0 / 36 + ww / 72) / root +
                       (-8.0 / 405 + ww * (7.0 / 810 + ww / 270)) / mean;
  return count > 0 ? floor(count) : 0;
}

/// The line integral that a detector would report for pixel number `pixel`.
KIBAN_HD inline float noisy_line_integral(float p, double photons, std::uint64_t seed, std::uint64_t pixel) {
  const RandomBits counter{{static_cast<std::uint32_t>(pixel), static_cast<std::uint32_t>(pixel >> 32), 0, 0}};
  const RandomBits bits = philox(counter, static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32));
  const double mean = photons * exp(-static_cast<double>(p));
  if (!(mean < 1e300)) return p;  // not a number stays so
  const double count = poisson(mean, bits);
  return static_cast<float>(-log((count > 1 ? count : 1) / photons));
}
