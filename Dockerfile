# Everything that flask-detector needs, Redis for `serve` included. docs/deploy/docker.md says how to run it.
#
#   docker build --tag flask-detector .
#   docker build --tag flask-detector --build-arg MODELS=mask-rcnn-r50-fpn .    with the main model's weights

# Another mirror of this image, or a Debian with python3 and python3-venv, does as well.
ARG BASE=python:3.13-slim-trixie

# hadolint ignore=DL3006
FROM ${BASE} AS build
WORKDIR /src
RUN python3 -m venv /opt/flask-detector
COPY pyproject.toml README.md LICENSE ./
COPY src ./src
# Of the inference engine only what computes on processors and reads ONNX is used.
ARG EXTRAS=s3
ARG PIP_EXTRA_INDEX_URL
RUN /opt/flask-detector/bin/pip install --no-cache-dir --disable-pip-version-check ".[${EXTRAS}]" \
    && find /opt/flask-detector -path '*/openvino/libs/*' '(' \
        -name '*_gpu_plugin*' -o -name '*_npu_plugin*' -o -name '*_gguf_*' -o -name '*_paddle_*' \
        -o -name '*_pytorch_*' -o -name '*_tensorflow_*' -o -name cache.json ')' -delete \
    && /opt/flask-detector/bin/pip uninstall --yes pip

# Weights that the image is to bring, by the names of `flask-detector models`, converted for use.
ARG MODELS=
ARG DETECTOR_MIRROR_URL=
ENV DETECTOR_MODELS_DIR=/opt/models
RUN mkdir /opt/models \
    && if [ -n "${MODELS}" ]; then \
        for model in ${MODELS}; do /opt/flask-detector/bin/flask-detector models pull "${model}" || exit 1; done; \
    fi

# hadolint ignore=DL3006
FROM ${BASE}
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends redis-server \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /data --no-create-home --shell /usr/sbin/nologin detector \
    && install --directory --owner 10001 --group 10001 /data
COPY --from=build /opt/flask-detector /opt/flask-detector
COPY --from=build /opt/models /opt/models

# What is in /opt/models can't be changed there; without models in the image they are fetched into /data. Temporary
# files, uploads and decoded pictures among them, would take memory in a /tmp that is one.
ARG MODELS=
ENV PATH=/opt/flask-detector/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PORT=5000 \
    DETECTOR_HOST=0.0.0.0 \
    DETECTOR_DATA_DIR=/data \
    TMPDIR=/data \
    DETECTOR_MODELS_DIR=${MODELS:+/opt/models} \
    DETECTOR_OFFLINE=${MODELS:+1}

USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 5000
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python3", "-c", "import os, urllib.request as u; u.urlopen(f'http://127.0.0.1:{os.environ[\"PORT\"]}/healthz', timeout=4)"]
CMD ["flask-detector", "serve"]
