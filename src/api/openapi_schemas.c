// Schemas of requests and answers: schemas.json, byte for byte in the program.

#include "api/api.h"

__asm__(".pushsection .rodata\n"
        ".globl api_schemas_text\n"
        "api_schemas_text:\n"
        ".incbin \"" TARN_API_SCHEMAS "\"\n"
        ".byte 0\n"
        ".popsection\n");

extern const char api_schemas_text[];

const char *api_openapi_schemas(void) {
    return api_schemas_text;
}
