#include "bindings/cli/command_line.hpp"
#include "engine/operations/standard.hpp"

int main(int argc, char** argv) {
  return kiban::cli::command_line(kiban::engine::Registry(kiban::engine::standard_operations()), argc, argv);
}
