# The package with the embedded world and the report.
#
#   docker build -t leapai .
#   docker run --rm -v "$PWD/outputs:/home/leapai/outputs" leapai demo
#
# CPU by default. For a GPU, name the index of PyTorch's builds for your CUDA version:
#
#   docker build -t leapai --build-arg TORCH_INDEX_URL=URL .
#   docker run --rm --gpus all leapai info
FROM python:3.12-slim

# OpenCV is the headless build, and PyAV brings FFmpeg: no system package is needed.
RUN useradd --create-home --uid 1000 leapai
USER leapai
WORKDIR /home/leapai
ENV PATH=/home/leapai/venv/bin:$PATH PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1
RUN python -m venv venv

# PyTorch first: the largest layer stays cached while the source changes. Without an index it is the
# build that the default index has.
ARG TORCH_INDEX_URL=""
RUN pip install ${TORCH_INDEX_URL:+--index-url "$TORCH_INDEX_URL"} "torch>=2.11" torchvision

COPY --chown=leapai pyproject.toml README.md LICENSE source/
COPY --chown=leapai src source/src
COPY --chown=leapai projects source/projects
ARG EXTRAS=train,report,world
# The image has no git: without a version it is that of pyproject.toml's fallback.
ARG VERSION=""
RUN SETUPTOOLS_SCM_PRETEND_VERSION="$VERSION" pip install "./source[$EXTRAS]" && mkdir outputs

ENTRYPOINT ["leapai"]
CMD ["--help"]
