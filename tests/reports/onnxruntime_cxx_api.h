// Stands in for onnxruntime's header where that is not to be had: the few classes that policy_check.cpp uses. Its
// "graph" gives the first entries of an observation, and no file is read.
#pragma once
#include <cstddef>
#include <cstdint>

enum { ORT_LOGGING_LEVEL_WARNING, OrtArenaAllocator, OrtMemTypeDefault };

namespace Ort {
struct Env {
    Env(int, const char*) {}
};
struct SessionOptions {
    void SetIntraOpNumThreads(int) {}
};
struct MemoryInfo {
    static MemoryInfo CreateCpu(int, int) { return {}; }
};
struct RunOptions {
    explicit RunOptions(std::nullptr_t) {}
};
struct Value {
    float* data;
    std::size_t size;
    template <typename T>
    static Value CreateTensor(const MemoryInfo&, T* data, std::size_t size, const std::int64_t*, std::size_t) {
        return {data, size};
    }
};
struct Session {
    Session(Env&, const char*, const SessionOptions&) {}
    void Run(const RunOptions&, const char* const*, const Value* in, std::size_t, const char* const*, Value* out,
             std::size_t) {
        for (std::size_t i = 0; i < out->size; ++i) out->data[i] = in->data[i];
    }
};
}  // namespace Ort
