/* NVML for tests: as much of its interface as is asked, with answers by the environment.
 *
 *   FAKE_NVML_INIT    what nvmlInit answers: 0, 9 (driver not loaded), 18 (driver of another version)
 *   FAKE_NVML_LOST    1: the second GPU has fallen off the bus; 2: it was there at first, and answers to
 *                     nothing any more
 *   FAKE_NVML_ECC     uncorrected memory errors of the first GPU; without it the GPU has no ECC
 *   FAKE_NVML_XID     an Xid that the first GPU reports, once
 *   FAKE_NVML_HANG    1: the driver hangs after its first answers
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SUCCESS = 0, NOT_SUPPORTED = 3, TIMEOUT = 10, GPU_IS_LOST = 15 };

typedef struct { int number; int lost; } gpu;
static gpu gpus[2] = {{0, 0}, {1, 0}};
static int told, xid_told;

static int number_of(const char *name) {
    const char *value = getenv(name);
    return value ? atoi(value) : 0;
}

int nvmlInit_v2(void) { return number_of("FAKE_NVML_INIT"); }
int nvmlShutdown(void) { return SUCCESS; }

int nvmlSystemGetDriverVersion(char *version, unsigned length) {
    strncpy(version, "570.133.20", length);
    return SUCCESS;
}

int nvmlDeviceGetCount_v2(unsigned *count) {
    if (told++ > 1 && number_of("FAKE_NVML_HANG"))
        pause();
    *count = 2;
    return SUCCESS;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, gpu **device) {
    int lost = number_of("FAKE_NVML_LOST");
    gpus[1].lost = lost == 1;
    *device = &gpus[index];
    return lost == 2 && index == 1 && told > 2 ? GPU_IS_LOST : SUCCESS;
}

int nvmlDeviceGetIndex(gpu *device, unsigned *index) {
    *index = device->number;
    return SUCCESS;
}

/* The kernel counts them the other way round. */
int nvmlDeviceGetMinorNumber(gpu *device, unsigned *minor) {
    *minor = 1 - device->number;
    return SUCCESS;
}

int nvmlDeviceGetName(gpu *device, char *name, unsigned length) {
    strncpy(name, "NVIDIA L4", length);
    return SUCCESS;
}

int nvmlDeviceGetUUID(gpu *device, char *uuid, unsigned length) {
    strncpy(uuid, device->number ? "GPU-2222" : "GPU-1111", length);
    return SUCCESS;
}

typedef struct { unsigned version; unsigned long long total, reserved, free, used; } memory;

int nvmlDeviceGetMemoryInfo_v2(gpu *device, memory *info) {
    info->total = 24ULL << 30;
    info->used = 1ULL << 30;
    return device->lost ? GPU_IS_LOST : SUCCESS;
}

int nvmlDeviceGetTemperature(gpu *device, int sensor, unsigned *degrees) {
    *degrees = 41 + device->number;
    return device->lost ? GPU_IS_LOST : SUCCESS;
}

int nvmlDeviceGetTemperatureThreshold(gpu *device, int which, unsigned *degrees) {
    *degrees = which == 1 ? 92 : 95;
    return device->lost ? GPU_IS_LOST : SUCCESS;
}

int nvmlDeviceGetEncoderStats(gpu *device, unsigned *sessions, unsigned *fps, unsigned *latency) {
    *sessions = 3;
    *fps = *latency = 0;
    return device->lost ? GPU_IS_LOST : SUCCESS;
}

int nvmlDeviceGetEncoderUtilization(gpu *device, unsigned *percent, unsigned *period) {
    *percent = 17;
    *period = 0;
    return device->lost ? GPU_IS_LOST : SUCCESS;
}

int nvmlDeviceGetTotalEccErrors(gpu *device, int kind, int counter, unsigned long long *errors) {
    /* Uncorrected ones, since the driver was loaded. */
    if (device->number || !getenv("FAKE_NVML_ECC") || kind != 1 || counter != 0)
        return NOT_SUPPORTED;
    *errors = number_of("FAKE_NVML_ECC");
    return SUCCESS;
}

int nvmlEventSetCreate(int **set) {
    *set = &told;
    return SUCCESS;
}

int nvmlEventSetFree(int *set) { return SUCCESS; }

int nvmlDeviceRegisterEvents(gpu *device, unsigned long long types, int *set) {
    return types == 8 ? SUCCESS : NOT_SUPPORTED;
}

typedef struct {
    gpu *device;
    unsigned long long type, data;
    unsigned instance, compute;
} event;

int nvmlEventSetWait_v2(int *set, event *data, unsigned milliseconds) {
    int xid = number_of("FAKE_NVML_XID");
    if (xid && !xid_told++) {
        *data = (event){&gpus[0], 8, xid, 0, 0};
        return SUCCESS;
    }
    usleep(milliseconds * 1000);
    return TIMEOUT;
}
