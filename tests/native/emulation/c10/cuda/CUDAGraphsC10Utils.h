// Stands for torch's header: nothing is ever captured.
#pragma once

namespace c10::cuda {

enum class CaptureStatus : int { None };

inline CaptureStatus currentStreamCaptureStatusMayInitCtx() { return CaptureStatus::None; }

}  // namespace c10::cuda
