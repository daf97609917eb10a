#pragma once

namespace kiban {

/// Whether this process was forked, without exec, from one that had begun to use Kiban. A child keeps neither the
/// threads of its parent nor what the CUDA driver held: there Kiban computes with one thread, and not on a GPU.
/// The first call is what "begun to use" means; it is made with the first stream and the first question for devices.
bool forked() noexcept;

}  // namespace kiban
