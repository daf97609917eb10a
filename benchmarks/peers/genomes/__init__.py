"""What benchmarks/peers/variant_genotype.py is made of."""
